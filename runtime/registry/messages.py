"""Every message there is. The event store and Temporal's data converter use this one table."""

from domain.credit import commands as credit_commands
from domain.credit import events as credit_events
from domain.inventory import commands as inventory_commands
from domain.inventory import events as inventory_events
from domain.ordering import commands as ordering_commands
from domain.ordering import events as ordering_events
from domain.payments import commands as payments_commands
from domain.payments import events as payments_events
from domain.settlement import commands as settlement_commands
from domain.settlement import events as settlement_events
from domain.shipping import commands as shipping_commands
from domain.shipping import events as shipping_events
from handrail.eventstore.codec import Codec
from handrail.sagas import events as sagas_events
from handrail.sagas import interventions as sagas_interventions
from handrail.sagas import stream_commands as sagas_commands

EVENTS: tuple[type, ...] = (
    *ordering_events.EVENTS,
    *inventory_events.EVENTS,
    *credit_events.EVENTS,
    *payments_events.EVENTS,
    *shipping_events.EVENTS,
    *settlement_events.EVENTS,
    *sagas_events.EVENTS,
    *sagas_interventions.EVENTS,
)
COMMANDS: tuple[type, ...] = (
    *ordering_commands.COMMANDS,
    *inventory_commands.COMMANDS,
    *credit_commands.COMMANDS,
    *payments_commands.COMMANDS,
    *shipping_commands.COMMANDS,
    *settlement_commands.COMMANDS,
)

TO_SAGAS: tuple[type, ...] = sagas_commands.COMMANDS
"""What the engine asks of a saga's own stream: none of it comes from outside."""

CODEC = Codec.of((*EVENTS, *COMMANDS, *TO_SAGAS))

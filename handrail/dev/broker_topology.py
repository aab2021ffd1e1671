"""Makes the topology at the broker of a stack."""

from __future__ import annotations

from handrail.catalogue import Catalogue
from handrail.dev.supervisor import FailedToStart
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.administration import (
    FED_WITHIN,
    LacksPasswords,
    access_of,
    found_at,
    has_operator,
    management_of,
    said_of,
)
from handrail.messaging.broker.definitions import difference, objects_of
from handrail.messaging.broker.management_api import BrokerSaidNo
from handrail.messaging.broker.management_api import apply as make
from handrail.messaging.broker.plan import NoBroker
from handrail.messaging.broker.settings import BrokerSettings
from handrail.messaging.broker.topology import topology


async def establish(app: Catalogue, settings: BrokerSettings) -> None:
    """Everything is there afterwards, and events come. Raises FailedToStart."""
    try:
        wanted = topology(app.routing, app.consumers, operator=has_operator(settings))
        objects = objects_of(wanted, access_of(settings, wanted))
        async with management_of(settings) as management:
            found = await found_at(management, wanted)
            left = await make(management, objects, found, difference(objects, found))
            lacking = (
                [] if left else await federation_status.complete(management, wanted, FED_WITHIN)
            )
    except (BrokerSaidNo, LacksPasswords, NoBroker) as error:
        raise FailedToStart("topology", f"failed: {error}") from error
    if said := [*(f"{key}: {why}" for key, why in left.items()), *map(said_of, lacking)]:
        raise FailedToStart("topology", "is not as it should be", "\n".join(said))

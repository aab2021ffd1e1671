"""The shop as Handrail runs it: the one list of what there is."""

from __future__ import annotations

from typing import Final

from consumers import finance, warehouse
from consumers.notifications import handler as notifications
from consumers.notifications.templates import MESSAGES
from consumers.tables import TABLES
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
from handrail.app import App, Context
from handrail.lake.plan import LakePlan
from projections import (
    customer_account,
    instalment_plan,
    merchant_application,
    merchant_balance,
    order_status,
    stock_level,
)
from runtime.broker import BROKER
from runtime.event_examples import EXAMPLES
from runtime.registry.sagas import SAGAS
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.deliver_order import DeliverOrderWorkflow
from workflows.pay_merchants import PayMerchantsWorkflow


def _lake() -> LakePlan:
    from consumers.lake_report.plan import LAKE  # noqa: PLC0415  # only `handrail lake` needs it

    return LAKE


HANDRAIL: Final = App(
    contexts=(
        Context(
            name="ordering",
            events=ordering_events.EVENTS,
            commands=ordering_commands.COMMANDS,
        ),
        Context(
            name="inventory",
            events=inventory_events.EVENTS,
            commands=inventory_commands.COMMANDS,
        ),
        Context(
            name="credit",
            events=credit_events.EVENTS,
            commands=credit_commands.COMMANDS,
        ),
        Context(
            name="payments",
            events=payments_events.EVENTS,
            commands=payments_commands.COMMANDS,
        ),
        Context(
            name="shipping",
            events=shipping_events.EVENTS,
            commands=shipping_commands.COMMANDS,
        ),
        Context(
            name="settlement",
            events=settlement_events.EVENTS,
            commands=settlement_commands.COMMANDS,
        ),
    ),
    sagas=tuple(SAGAS.values()),
    workflows=(CollectInstalmentsWorkflow, DeliverOrderWorkflow, PayMerchantsWorkflow),
    projections=(
        order_status.PROJECTION,
        customer_account.PROJECTION,
        instalment_plan.PROJECTION,
        merchant_balance.PROJECTION,
        merchant_application.PROJECTION,
        stock_level.PROJECTION,
    ),
    consumers=(finance.CONSUMER, warehouse.CONSUMER, notifications.CONSUMER),
    broker=BROKER,
    messages=MESSAGES,
    lake=_lake,
    examples=EXAMPLES,
    tables=TABLES,
)

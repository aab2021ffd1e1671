"""The shop as Handrail runs it: the one list of what there is."""

from __future__ import annotations

from typing import Final

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
from projections import (
    customer_account,
    instalment_plan,
    merchant_application,
    merchant_balance,
    order_status,
    stock_level,
)
from runtime.registry.consumers import CONSUMERS
from workflows import (
    checkout,
    collect_instalment,
    onboard_merchant,
    parcels,
    pay_merchant,
    return_order,
    settle_early,
    write_off,
)
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.deliver_order import DeliverOrderWorkflow
from workflows.pay_merchants import PayMerchantsWorkflow

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
    sagas=(
        checkout.SAGA,
        collect_instalment.SAGA,
        settle_early.SAGA,
        write_off.SAGA,
        parcels.DISPATCH_SAGA,
        parcels.DELIVERED_SAGA,
        parcels.LOSS_SAGA,
        return_order.SAGA,
        onboard_merchant.SAGA,
        pay_merchant.SAGA,
    ),
    workflows=(CollectInstalmentsWorkflow, DeliverOrderWorkflow, PayMerchantsWorkflow),
    projections=(
        order_status.PROJECTION,
        customer_account.PROJECTION,
        instalment_plan.PROJECTION,
        merchant_balance.PROJECTION,
        merchant_application.PROJECTION,
        stock_level.PROJECTION,
    ),
    consumers=CONSUMERS,
)

"""The shop as Handrail runs it: the one list of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from api.access import ACCESS
from api.console import CONSOLE
from api.examples import API_EXAMPLES
from api.problem_types import PROBLEMS, RULES, TENANT
from api.tags import TAGS
from consumers import finance, warehouse
from consumers.notifications import handler as notifications
from consumers.notifications.templates import MESSAGES
from consumers.tables import TABLES
from domain.credit import commands as credit_commands
from domain.credit import events as credit_events
from domain.customers import commands as customer_commands
from domain.customers import events as customer_events
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
from handrail.app import App, Context, OperatorCommand
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
from runtime.options import options_of
from runtime.settings import ShopSettings
from runtime.simulators.declared import SIMULATORS
from runtime.tenant_events import TENANT_EVENTS

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.activities.resources import Resources
    from handrail.http.webhook_sources import Webhooks
    from handrail.sagas.saga_type import SagaType
    from handrail.temporal.client import Activities
    from handrail.verify.verification import Verification

# What only some processes need is imported by them.
# ruff: noqa: PLC0415


def _sagas() -> Sequence[SagaType[Any]]:
    from workflows import (
        checkout,
        collect_instalment,
        erase_customer,
        onboard_merchant,
        parcels,
        pay_merchant,
        return_order,
        settle_early,
        write_off,
    )

    return (
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
        erase_customer.SAGA,
    )


def _workflows() -> Sequence[type[Any]]:
    from workflows.collect_instalments import CollectInstalmentsWorkflow
    from workflows.deliver_order import DeliverOrderWorkflow
    from workflows.pay_merchants import PayMerchantsWorkflow

    return (CollectInstalmentsWorkflow, DeliverOrderWorkflow, PayMerchantsWorkflow)


def _routers() -> Sequence[APIRouter]:
    from api.routers import ROUTERS

    return ROUTERS


def _webhooks() -> Webhooks:
    from api.webhook_messages import WEBHOOKS

    return WEBHOOKS


def _sagas_per_tenant(settings: ShopSettings) -> int:
    return settings.sagas_per_merchant


def _activities(resources: Resources) -> Activities:
    from runtime.activities import activities

    return activities(resources)


def _lake() -> LakePlan:
    from consumers.lake_report.plan import LAKE

    return LAKE


def _verification(settings: ShopSettings) -> Verification[Any]:
    from runtime.verify.verification import verification

    return verification(settings)


HANDRAIL: Final = App(
    tenant=TENANT,
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
        Context(
            name="customers",
            events=customer_events.EVENTS,
            commands=customer_commands.COMMANDS,
        ),
    ),
    sagas=_sagas,
    workflows=_workflows,
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
    routers=_routers,
    path_rows={"order": order_status.PROJECTION},
    access=ACCESS,
    tags=TAGS,
    api_examples=API_EXAMPLES,
    problems=PROBLEMS,
    rules=RULES,
    console=CONSOLE,
    saga_links=lambda saga: {"order": f"/orders/{saga}"},
    webhooks=_webhooks,
    tenant_events=TENANT_EVENTS,
    sagas_per_tenant=_sagas_per_tenant,
    settings=ShopSettings,
    options=options_of,
    activities=_activities,
    verification=_verification,
    simulators=SIMULATORS,
    operator_commands=(
        OperatorCommand(
            name="demo",
            at="runtime.demo.command:demo",
            help="Start everything, drive checkouts through HTTP, prove the invariants, stop.",
        ),
        OperatorCommand(
            name="bench",
            at="benchmarks.command:bench",
            help="Start everything, measure, stop everything.",
        ),
        OperatorCommand(
            name="payouts",
            at="runtime.payouts_cli:payouts",
            help="Pay merchants what they are owed, every day or now.",
        ),
    ),
)

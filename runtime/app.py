"""The shop as Handrail runs it: the one list of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from api.problem_types import PROBLEMS, RULES
from api.tags import TAGS
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
from runtime.registry.sagas import SAGAS
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.deliver_order import DeliverOrderWorkflow
from workflows.pay_merchants import PayMerchantsWorkflow

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.http.webhook_sources import Webhooks
    from handrail.sagas.options import RunOptions
    from handrail.settings import Settings

# What only the API needs is imported where it is asked for.
# ruff: noqa: PLC0415


def _routers() -> Sequence[APIRouter]:
    from api.routers import ROUTERS

    return ROUTERS


def _webhooks() -> Webhooks:
    from api.webhook_messages import WEBHOOKS

    return WEBHOOKS


def _run_options(settings: Settings) -> RunOptions:
    from runtime.options import options_of

    return options_of(settings)


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
    consumers=CONSUMERS,
    routers=_routers,
    tags=TAGS,
    problems=PROBLEMS,
    rules=RULES,
    webhooks=_webhooks,
    run_options=_run_options,
)

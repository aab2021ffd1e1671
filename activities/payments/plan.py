"""Instalment plans: one stream for each order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.payments.gateway import Bank
from domain.payments import plan
from domain.payments.commands import (
    AdjustPlan,
    ChargeLateFee,
    CollectInstalment,
    OpenPlan,
    PlanCommand,
    RefundPayment,
    Reschedule,
    RevertAdjustment,
    SettleEarly,
    WriteOffPlan,
)
from domain.payments.events import PlanEvent
from handrail.activities.command_handler import single_stream
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.replies import Reply


def _decide(command: PlanCommand, state: plan.InstalmentPlan) -> Sequence[PlanEvent]:
    """Of a saga's pivot that finds nothing to do, its credit would be given back all the same."""
    events = plan.decide(command, state)
    if not events:
        plan.check_unpaid(command, state)
    return events


class Plans:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self.steps = RemoteSteps(
            store,
            single_stream(
                plan.CATEGORY,
                plan.InstalmentPlan(),
                lambda message: message.order,
                _decide,
                plan.evolve,
                begun_by=(OpenPlan,),
            ),
            bank.void,
            company="the bank",
        )

    def activities(self) -> Sequence[Callable[..., Any]]:
        return [
            *self.steps.local(
                OpenPlan, ChargeLateFee, Reschedule, WriteOffPlan, AdjustPlan, RevertAdjustment
            ),
            *self.steps.checked(CollectInstalment, self._charge),
            *self.steps.checked(SettleEarly, self._charge),
            *self.steps.checked(RefundPayment, self._refund),
        ]

    async def _charge(self, command: CollectInstalment | SettleEarly, key: str) -> Reply:
        return await self._bank.charge(
            key=key, order=command.order, amount=command.amount, card=command.card
        )

    async def _refund(self, command: RefundPayment, key: str) -> Reply:
        return await self._bank.refund(
            key=key, order=command.order, refund_id=command.return_id, amount=command.amount
        )

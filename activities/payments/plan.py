"""Instalment plans: one stream for each order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.payments.bank_steps import BankSteps, void_of_bank
from activities.payments.gateway import Bank
from domain.payments import plan
from domain.payments.commands import (
    AdjustPlan,
    BankReply,
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
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import single_stream
from handrail.eventstore.store import EventStore
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, bank: Bank) -> Sequence[Callable[..., Any]]:
    plans = Plans(store, bank)
    return [
        serve(OpenPlan, plans.handle),
        serve(CollectInstalment, plans.collect),
        serve(ChargeLateFee, plans.handle),
        serve(Reschedule, plans.handle),
        serve(SettleEarly, plans.settle),
        serve(WriteOffPlan, plans.handle),
        serve(AdjustPlan, plans.handle),
        serve(RevertAdjustment, plans.handle),
        serve(RefundPayment, plans.refund),
        void_of_bank(store, bank, CollectInstalment, lambda command: command.order),
        void_of_bank(store, bank, SettleEarly, lambda command: command.order),
        void_of_bank(store, bank, RefundPayment, lambda command: command.order),
    ]


def _decide(command: PlanCommand, state: plan.InstalmentPlan) -> Sequence[PlanEvent]:
    """Of a saga's pivot that finds nothing to do, its credit would be given back all the same."""
    events = plan.decide(command, state)
    if not events:
        plan.check_unpaid(command, state)
    return events


class Plans:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self._plans = BankSteps(
            store,
            bank,
            single_stream(
                plan.CATEGORY,
                plan.InstalmentPlan(),
                lambda message: message.order,
                _decide,
                plan.evolve,
                begun_by=(OpenPlan,),
            ),
        )
        self.handle = self._plans.handle

    async def collect(self, command: CollectInstalment, context: StepContext) -> Answer:
        return await self._plans.ask(command, context, lambda: self._charge(command, context))

    async def settle(self, command: SettleEarly, context: StepContext) -> Answer:
        return await self._plans.ask(command, context, lambda: self._charge(command, context))

    async def refund(self, command: RefundPayment, context: StepContext) -> Answer:
        return await self._plans.ask(
            command,
            context,
            lambda: self._bank.refund(
                key=str(context.key),
                order=command.order,
                refund_id=command.return_id,
                amount=command.amount,
            ),
        )

    async def _charge(
        self, command: CollectInstalment | SettleEarly, context: StepContext
    ) -> BankReply:
        return await self._bank.charge(
            key=str(context.key), order=command.order, amount=command.amount, card=command.card
        )

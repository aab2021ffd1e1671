"""Down payments: one stream for each order. The bank replies first, and its reply is decided on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from activities.payments.gateway import Bank
from activities.payments.plan import Plans
from activities.payments.transfer import Transfers
from domain.payments import payment
from domain.payments import plan as paying
from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    RecordDispute,
    VoidPayment,
)
from domain.payments.plan_state import InstalmentPlan
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import single_stream
from handrail.activities.load_state import state_of
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.replies import Reply
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, bank: Bank) -> Sequence[Callable[..., Any]]:
    return [
        *Payments(store, bank).activities(),
        *Plans(store, bank).activities(),
        *Transfers(store, bank).activities(),
    ]


class Payments:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self._store = store
        self.steps = RemoteSteps(
            store,
            single_stream(
                payment.CATEGORY,
                payment.Payment(),
                lambda message: message.order,
                payment.decide,
                payment.evolve,
                begun_by=(AuthoriseDownPayment,),
            ),
            bank.void,
            company="the bank",
        )

    def activities(self) -> Sequence[Callable[..., Any]]:
        return [
            *self.steps.compensatable(AuthoriseDownPayment, VoidPayment, self._authorise),
            *self.steps.retriable(CapturePayment, self._capture),
            serve(RecordDispute, self._dispute),
        ]

    async def _authorise(self, command: AuthoriseDownPayment, key: str) -> Reply:
        return await self._bank.authorise(
            key=key, order=command.order, amount=command.amount, card=command.card
        )

    async def _capture(self, command: CapturePayment, key: str) -> Reply:
        return await self._bank.capture(key=key, order=command.order, amount=command.amount)

    async def _dispute(self, command: RecordDispute, context: StepContext) -> Answer:
        """What instalments brought may be disputed, too."""
        found = await state_of(
            self._store, paying.CATEGORY, command.order, InstalmentPlan(), paying.evolve
        )
        if found.status != "none":
            command = replace(command, instalments=found.paid_principal + found.paid_fees)
        return await self.steps.handle(command, context)

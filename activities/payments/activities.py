"""Down payments: one stream for each order. The bank is asked first, and its answer is decided on.

A bank that is asked again with the same key answers the same, so a try whose end nobody saw is
simply made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from activities.payments import plan, transfer
from activities.payments.bank_steps import check_void, shut, shut_first, void_of_bank
from activities.payments.gateway import Bank
from domain.payments import payment
from domain.payments import plan as paying
from domain.payments.commands import (
    Approved,
    AuthoriseDownPayment,
    CapturePayment,
    RecordDispute,
    VoidPayment,
)
from domain.payments.plan_state import InstalmentPlan
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.activities.load_state import state_of
from handrail.eventstore.store import EventStore, StepClosed
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, bank: Bank) -> Sequence[Callable[..., Any]]:
    payments = Payments(store, bank)
    return [
        serve(AuthoriseDownPayment, payments.authorise),
        serve(VoidPayment, payments.void),
        serve(CapturePayment, payments.capture),
        void_of_bank(store, bank, AuthoriseDownPayment, lambda command: command.order),
        void_of_bank(store, bank, CapturePayment, lambda command: command.order),
        serve(RecordDispute, payments.dispute),
        *plan.activities(store, bank),
        *transfer.activities(store, bank),
    ]


class Payments:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self._store = store
        self._payments = CommandHandler(
            store,
            single_stream(
                payment.CATEGORY,
                payment.Payment(),
                lambda message: message.order,
                payment.decide,
                payment.evolve,
                begun_by=(AuthoriseDownPayment,),
            ),
        )

    async def dispute(self, command: RecordDispute, context: StepContext) -> Answer:
        """What instalments brought may be disputed, too."""
        found = await state_of(
            self._store, paying.CATEGORY, command.order, InstalmentPlan(), paying.evolve
        )
        if found.status != "none":
            command = replace(command, instalments=found.paid_principal + found.paid_fees)
        return await self._payments.handle(command, context)

    async def authorise(self, command: AuthoriseDownPayment, context: StepContext) -> Answer:
        await shut_first(self._bank, context, command.order)
        reply = await self._bank.authorise(
            key=str(context.key), order=command.order, amount=command.amount, card=command.card
        )
        return await self._settle(replace(command, reply=reply), context)

    async def capture(self, command: CapturePayment, context: StepContext) -> Answer:
        await shut_first(self._bank, context, command.order)
        reply = await self._bank.capture(
            key=str(context.key), order=command.order, amount=command.amount
        )
        return await self._settle(replace(command, reply=reply), context)

    async def void(self, command: VoidPayment, context: StepContext) -> Answer:
        reply = await shut(self._bank, context, command.order)
        check_void(reply, command.order)
        return await self._payments.handle(replace(command, reply=reply), context)

    async def _settle(
        self, command: AuthoriseDownPayment | CapturePayment, context: StepContext
    ) -> Answer:
        try:
            return await self._payments.handle(command, context)
        except StepClosed:
            if isinstance(command.reply, Approved):
                # The void has been and gone, and this bank did not remember it: let go once more.
                key = str(context.key)
                await self._bank.void(key=f"{key}/late", order=command.order, closes=key)
            raise

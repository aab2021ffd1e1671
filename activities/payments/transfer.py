"""Payouts to merchants: one stream for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.payments.bank_steps import BankSteps, void_of_bank
from activities.payments.gateway import Bank
from domain.payments import transfer
from domain.payments.commands import TransferPayout
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import single_stream
from handrail.eventstore.store import EventStore
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, bank: Bank) -> Sequence[Callable[..., Any]]:
    return [
        serve(TransferPayout, Transfers(store, bank).transfer),
        void_of_bank(store, bank, TransferPayout, lambda command: command.payout),
    ]


class Transfers:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self._transfers = BankSteps(
            store,
            bank,
            single_stream(
                transfer.CATEGORY,
                transfer.Transfer(),
                lambda message: message.payout,
                transfer.decide,
                transfer.evolve,
            ),
        )

    async def transfer(self, command: TransferPayout, context: StepContext) -> Answer:
        return await self._transfers.ask(
            command,
            context,
            lambda: self._bank.pay_out(
                key=str(context.key),
                payout=command.payout,
                merchant=command.merchant,
                amount=command.amount,
            ),
        )

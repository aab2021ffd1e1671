"""Payouts to merchants: one stream for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.payments.gateway import Bank
from domain.payments import transfer
from domain.payments.commands import TransferPayout
from handrail.activities.command_handler import single_stream
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.replies import Reply


class Transfers:
    def __init__(self, store: EventStore, bank: Bank) -> None:
        self._bank = bank
        self.steps = RemoteSteps(
            store,
            single_stream(
                transfer.CATEGORY,
                transfer.Transfer(),
                lambda message: message.payout,
                transfer.decide,
                transfer.evolve,
            ),
            bank.void,
            company="the bank",
        )

    def activities(self) -> Sequence[Callable[..., Any]]:
        return self.steps.checked(TransferPayout, self._pay_out)

    async def _pay_out(self, command: TransferPayout, key: str) -> Reply:
        return await self._bank.pay_out(
            key=key, payout=command.payout, merchant=command.merchant, amount=command.amount
        )

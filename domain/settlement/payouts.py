"""What is on its way to a merchant, and what arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.identifiers import OrderId, PayoutId
from domain.settlement.commands import CancelPayout, ConfirmPayout, PreparePayout
from domain.settlement.events import (
    PayoutCancelled,
    PayoutConfirmed,
    PayoutEvent,
    PayoutPrepared,
    PayoutRefused,
)
from handrail.errors import ContentDiffers, NotPositive, OutOfOrder
from handrail.kernel import Money

# A payout is asked for again soon or never. The event store's fence catches what is older.
REMEMBERED_PAYOUTS: Final = 32


@dataclass(frozen=True)
class Pending:
    """`orders` are those that it pays, each with what was accrued for it."""

    amount: Money
    orders: Mapping[OrderId, Money]


@dataclass(frozen=True)
class Payouts:
    pending: Mapping[PayoutId, Pending] = field(default_factory=dict)
    confirmed: tuple[PayoutId, ...] = ()

    def with_pending(self, payout: PayoutId, pending: Pending) -> Payouts:
        return Payouts({**self.pending, payout: pending}, self.confirmed)

    def cancelled(self, payout: PayoutId) -> Payouts:
        others = {one: kept for one, kept in self.pending.items() if one != payout}
        return Payouts(others, self.confirmed)

    def arrived(self, payout: PayoutId) -> Payouts:
        confirmed = (*self.confirmed, payout)[-REMEMBERED_PAYOUTS:]
        return Payouts(self.cancelled(payout).pending, confirmed)


def prepare(command: PreparePayout, balance: Money, payouts: Payouts) -> Sequence[PayoutEvent]:
    merchant, payout, amount = command.merchant, command.payout, command.amount
    if amount.amount <= 0:
        raise NotPositive(str(amount))
    pending = payouts.pending.get(payout)
    if pending and pending.amount != amount:
        raise ContentDiffers(f"{payout} is {pending.amount}, not {amount}")
    if pending or payout in payouts.confirmed:
        return []
    if balance < amount:
        return [PayoutRefused(merchant=merchant, payout=payout, amount=amount, balance=balance)]
    remaining = balance - amount
    return [PayoutPrepared(merchant=merchant, payout=payout, amount=amount, balance=remaining)]


def cancel(command: CancelPayout, balance: Money, payouts: Payouts) -> Sequence[PayoutEvent]:
    merchant, payout = command.merchant, command.payout
    if payout in payouts.confirmed:
        raise OutOfOrder(f"{payout} arrived")
    if payout not in payouts.pending:
        return []
    amount = payouts.pending[payout].amount
    return [
        PayoutCancelled(merchant=merchant, payout=payout, amount=amount, balance=balance + amount)
    ]


def confirm(command: ConfirmPayout, payouts: Payouts) -> Sequence[PayoutEvent]:
    merchant, payout = command.merchant, command.payout
    if payout in payouts.confirmed:
        return []
    if payout not in payouts.pending:
        raise OutOfOrder(f"{payout} is not on its way")
    amount = payouts.pending[payout].amount
    return [PayoutConfirmed(merchant=merchant, payout=payout, amount=amount)]

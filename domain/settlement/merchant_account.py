"""A merchant's account: what we owe for orders, less what came back and what was paid out.

Only the orders since the last payout are remembered, so the state stays small. What arrives after
that is refused by the event store's fence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from domain.errors import FeeOutOfRange
from domain.identifiers import MerchantId, OrderId, ReturnId
from domain.settlement.commands import (
    AccruePayable,
    CancelPayout,
    ClawBack,
    CloseMerchantAccount,
    ConfirmPayout,
    MerchantCommand,
    OpenMerchantAccount,
    PreparePayout,
)
from domain.settlement.events import (
    MerchantAccountClosed,
    MerchantAccountOpened,
    MerchantEvent,
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutEvent,
    PayoutPrepared,
    PayoutRefused,
)
from domain.settlement.payouts import Payouts, Pending, cancel, confirm, prepare
from handrail.errors import ContentDiffers, NotACurrency, NotPositive, OutOfOrder, UnknownAggregate
from handrail.kernel import Money

CATEGORY: Final = "merchant"

ALL_OF_IT: Final = 10_000  # basis points
NOT_OPEN: Final = Money(0, "")

# A return is taken back again soon or never. The event store's fence catches what is older.
REMEMBERED_RETURNS: Final = 32
# The pieces of an order come back within weeks. Of an order that is forgotten, the next piece
# begins anew: its fee is rounded alone, which is a minor unit at most.
REMEMBERED_SHARES: Final = 1_000


@dataclass(frozen=True)
class MerchantAccount:
    """`unpaid` are the orders since the last payout, each with what was accrued for it.

    `owed_shares` are, of each order that came back in part, the ten-thousandths of a minor unit of
    its fee that rounding left over: the next piece has them, so that all pieces come to the whole.
    `onboarding` is whether the account was opened for an application.
    """

    fee_bps: int = 0
    balance: Money = NOT_OPEN
    unpaid: Mapping[OrderId, Money] = field(default_factory=dict)
    payouts: Payouts = field(default_factory=Payouts)
    clawed_back: tuple[ReturnId, ...] = ()
    owed_shares: Mapping[OrderId, int] = field(default_factory=dict)
    onboarding: bool = False

    @property
    def is_open(self) -> bool:
        return self.balance != NOT_OPEN

    @property
    def remembered(self) -> Mapping[OrderId, Money]:
        """What was accrued for each order that is not known to be paid out."""
        orders = dict(self.unpaid)
        for pending in self.payouts.pending.values():
            orders |= pending.orders
        return orders

    def fee_of(self, gross: Money) -> Money:
        """Rounded half up, to the minor unit: for an order as a whole."""
        return Money((gross.amount * self.fee_bps + ALL_OF_IT // 2) // ALL_OF_IT, gross.currency)

    def fee_back(self, order: OrderId, gross: Money) -> Money:
        """The fee on a piece that comes back: that on all pieces so far, less what was given back
        of it before.
        """
        shares = gross.amount * self.fee_bps + self.owed_shares.get(order, 0)
        return Money((shares + ALL_OF_IT // 2) // ALL_OF_IT, gross.currency)


def evolve(account: MerchantAccount, event: MerchantEvent) -> MerchantAccount:
    match event:
        case MerchantAccountOpened(currency=currency, fee_bps=fee_bps, onboarding=onboarding):
            nothing = Money(0, currency)
            return MerchantAccount(fee_bps=fee_bps, balance=nothing, onboarding=onboarding)
        case PayableAccrued(order=order, gross=gross, fee=fee):
            net = gross - fee
            unpaid = {**account.unpaid, order: net}
            return replace(account, balance=account.balance + net, unpaid=unpaid)
        case PayableClawedBack():
            return _came_back(account, event)
        case PayoutPrepared() | PayoutRefused() | PayoutCancelled() | PayoutConfirmed():
            return _paid_out(account, event)
        case MerchantAccountClosed():
            return MerchantAccount()
        case _:
            assert_never(event)


def _came_back(account: MerchantAccount, event: PayableClawedBack) -> MerchantAccount:
    clawed_back = (*account.clawed_back, event.return_id)[-REMEMBERED_RETURNS:]
    account = replace(account, balance=account.balance - event.amount, clawed_back=clawed_back)
    if event.gross is None:
        return account
    others = {one: rest for one, rest in account.owed_shares.items() if one != event.order}
    fee = event.gross - event.amount
    rest = account.owed_shares.get(event.order, 0)
    rest += event.gross.amount * account.fee_bps - fee.amount * ALL_OF_IT
    shares = [*others.items(), *([(event.order, rest)] if rest else [])]
    return replace(account, owed_shares=dict(shares[-REMEMBERED_SHARES:]))


def _paid_out(account: MerchantAccount, event: PayoutEvent) -> MerchantAccount:
    payout, payouts = event.payout, account.payouts
    match event:
        case PayoutPrepared(amount=amount):
            now = payouts.with_pending(payout, Pending(amount, account.unpaid))
            return replace(account, balance=account.balance - amount, unpaid={}, payouts=now)
        case PayoutRefused():
            return account
        case PayoutCancelled(amount=amount):
            unpaid = {**payouts.pending[payout].orders, **account.unpaid}
            account = replace(account, payouts=payouts.cancelled(payout))
            return replace(account, balance=account.balance + amount, unpaid=unpaid)
        case PayoutConfirmed():
            return replace(account, payouts=payouts.arrived(payout))
        case _:
            assert_never(event)


def decide(  # noqa: PLR0911  # one arm a command
    command: MerchantCommand, account: MerchantAccount
) -> Sequence[MerchantEvent]:
    match command:
        case OpenMerchantAccount():
            return _open(command, account)
        case AccruePayable():
            return _accrue(command, account)
        case ClawBack():
            return _claw_back(command, account)
        case PreparePayout():
            return prepare(command, _balance(account, command.merchant), account.payouts)
        case CancelPayout():
            return cancel(command, account.balance, account.payouts)
        case ConfirmPayout():
            return confirm(command, account.payouts)
        case CloseMerchantAccount():
            return _close(command, account)
        case _:
            assert_never(command)


def _open(command: OpenMerchantAccount, account: MerchantAccount) -> Sequence[MerchantEvent]:
    merchant, currency, fee_bps = command.merchant, command.currency, command.fee_bps
    if not 0 <= fee_bps <= ALL_OF_IT:
        raise FeeOutOfRange(f"{fee_bps} is not")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise NotACurrency(repr(currency))
    if not account.is_open:
        return [
            MerchantAccountOpened(
                merchant=merchant,
                currency=currency,
                fee_bps=fee_bps,
                onboarding=command.onboarding,
            )
        ]
    if (currency, fee_bps) != (account.balance.currency, account.fee_bps):
        raise ContentDiffers(merchant)
    return []


def _accrue(command: AccruePayable, account: MerchantAccount) -> Sequence[MerchantEvent]:
    order, gross = command.order, command.gross
    balance = _balance(account, command.merchant)
    if gross.amount <= 0:
        raise NotPositive(str(gross))
    fee = account.fee_of(gross)
    net = gross - fee
    known = account.remembered.get(order)
    if known is not None and known != net:
        raise ContentDiffers(f"{order} has {known}, not {net}")
    if known is not None:
        return []
    return [
        PayableAccrued(
            merchant=command.merchant, order=order, gross=gross, fee=fee, balance=balance + net
        )
    ]


def _claw_back(command: ClawBack, account: MerchantAccount) -> Sequence[MerchantEvent]:
    gross = command.gross
    balance = _balance(account, command.merchant)
    if gross.amount < 0:
        raise NotPositive(str(gross))
    if gross.amount == 0 or command.return_id in account.clawed_back:
        return []
    net = gross - account.fee_back(command.order, gross)
    return [
        PayableClawedBack(
            merchant=command.merchant,
            order=command.order,
            return_id=command.return_id,
            amount=net,
            balance=balance - net,
            gross=gross,
        )
    ]


def _close(command: CloseMerchantAccount, account: MerchantAccount) -> Sequence[MerchantEvent]:
    if not account.is_open or (command.onboarding and not account.onboarding):
        return []
    pending = account.payouts.pending
    if account.balance.amount or pending:
        raise OutOfOrder(f"{account.balance} is owed, {len(pending)} payouts are on their way")
    return [MerchantAccountClosed(merchant=command.merchant)]


def _balance(account: MerchantAccount, merchant: MerchantId) -> Money:
    """Raises UnknownAggregate where there is no account."""
    if not account.is_open:
        raise UnknownAggregate(merchant)
    return account.balance

"""A merchant's account: what we owe for the orders that were not paid out yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from domain.errors import (
    ContentDiffers,
    FeeOutOfRange,
    NotACurrency,
    NotPositive,
    UnknownAggregate,
)
from domain.kernel import Money, OrderId
from domain.settlement.commands import (
    AccruePayable,
    ClawBack,
    MerchantCommand,
    OpenMerchantAccount,
)
from domain.settlement.events import (
    MerchantAccountOpened,
    MerchantEvent,
    PayableAccrued,
    PayableClawedBack,
)

CATEGORY: Final = "merchant"

ALL_OF_IT: Final = 10_000  # basis points
NOT_OPEN: Final = Money(0, "")


@dataclass(frozen=True)
class MerchantAccount:
    fee_bps: int = 0
    balance: Money = NOT_OPEN
    unpaid: Mapping[OrderId, Money] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.balance != NOT_OPEN

    def fee_of(self, gross: Money) -> Money:
        """Rounded half up, to the cent."""
        return Money((gross.amount * self.fee_bps + ALL_OF_IT // 2) // ALL_OF_IT, gross.currency)


def evolve(account: MerchantAccount, event: MerchantEvent) -> MerchantAccount:
    match event:
        case MerchantAccountOpened(currency=currency, fee_bps=fee_bps):
            return MerchantAccount(fee_bps=fee_bps, balance=Money(0, currency))
        case PayableAccrued(order=order, gross=gross, fee=fee):
            net = gross - fee
            unpaid = {**account.unpaid, order: net}
            return replace(account, balance=account.balance + net, unpaid=unpaid)
        case PayableClawedBack(order=order, amount=amount):
            unpaid = {o: net for o, net in account.unpaid.items() if o != order}
            return replace(account, balance=account.balance - amount, unpaid=unpaid)
        case _:
            assert_never(event)


def decide(command: MerchantCommand, account: MerchantAccount) -> Sequence[MerchantEvent]:
    match command:
        case OpenMerchantAccount():
            return _open(command, account)
        case AccruePayable():
            return _accrue(command, account)
        case ClawBack():
            return _claw_back(command, account)
        case _:
            assert_never(command)


def _open(command: OpenMerchantAccount, account: MerchantAccount) -> Sequence[MerchantEvent]:
    merchant, currency, fee_bps = command.merchant, command.currency, command.fee_bps
    if not 0 <= fee_bps <= ALL_OF_IT:
        raise FeeOutOfRange(f"{fee_bps} is not")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise NotACurrency(repr(currency))
    if not account.is_open:
        return [MerchantAccountOpened(merchant=merchant, currency=currency, fee_bps=fee_bps)]
    if (currency, fee_bps) != (account.balance.currency, account.fee_bps):
        raise ContentDiffers(merchant)
    return []


def _accrue(command: AccruePayable, account: MerchantAccount) -> Sequence[MerchantEvent]:
    order, gross = command.order, command.gross
    if not account.is_open:
        raise UnknownAggregate(command.merchant)
    if gross.amount <= 0:
        raise NotPositive(str(gross))
    fee = account.fee_of(gross)
    net = gross - fee
    if account.unpaid.get(order, net) != net:
        raise ContentDiffers(f"{order} has {account.unpaid[order]}, not {net}")
    if order in account.unpaid:
        return []
    balance = account.balance + net
    return [
        PayableAccrued(
            merchant=command.merchant, order=order, gross=gross, fee=fee, balance=balance
        )
    ]


def _claw_back(command: ClawBack, account: MerchantAccount) -> Sequence[MerchantEvent]:
    if command.order not in account.unpaid:
        return []
    amount = account.unpaid[command.order]
    return [
        PayableClawedBack(
            merchant=command.merchant,
            order=command.order,
            amount=amount,
            balance=account.balance - amount,
        )
    ]

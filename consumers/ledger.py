"""How money moves between the accounts of the ledger: one entry for each event about it.

An entry is a few lines that add up to nothing: what one account gets, another gives. Debits are
above zero, credits below: what we have is above, what we owe below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.payments.events import (
    InstalmentCollected,
    LateFeeCharged,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    PayoutTransferred,
    PlanAdjusted,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.settlement.events import (
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutPrepared,
)
from handrail.kernel import Event, Money

BANK: Final = "bank"
"""Cash."""
SALES: Final = "sales"
"""What an order's customer paid and owes, less its price: nothing once it is sold."""
RECEIVABLE: Final = "receivable"
"""What customers owe of an order, by instalments."""
FEES_RECEIVABLE: Final = "fees receivable"
PAYABLE: Final = "payable"
"""What a merchant is owed."""
PAYOUTS: Final = "payouts"
"""On its way to a merchant."""
REFUNDS: Final = "refunds"
"""What is owed to the customer of an order."""
RETURNS: Final = "returns"
"""What came back, less what the merchant gave up for it: the fees that we gave back."""
MERCHANT_FEES: Final = "merchant fees"
LATE_FEES: Final = "late fees"
WRITTEN_OFF: Final = "written off"
DISPUTED: Final = "disputed"
"""What the bank took back for customers."""


class Unbalanced(Exception):
    """The event's own figures do not add up."""


@dataclass(frozen=True)
class Line:
    account: str
    party: str
    money: Money


def lines_of(event: Event) -> Sequence[Line]:
    """The entry of an event, for all but those that take another one back.

    Raises Unbalanced, and TypeError for an event that moves no money.
    """
    lines = [line for line in _lines(event) if line.money.amount]
    currencies = {line.money.currency for line in lines}
    if sum(line.money.amount for line in lines) or len(currencies) > 1:
        raise Unbalanced(f"{type(event).__name__}: {', '.join(map(str, lines))}")
    return lines


def _lines(event: Event) -> Sequence[Line]:
    for context in (_down_payment, _plan, _merchant):
        if (lines := context(event)) is not None:
            return lines
    raise TypeError(f"the ledger has no entry for {type(event).__name__}")


def _down_payment(event: Event) -> Sequence[Line] | None:
    match event:
        case PaymentCaptured(order=order, amount=amount):
            return _posting(amount, SALES, order, BANK)
        case PaymentRefunded(order=order, amount=amount):
            return _posting(amount, BANK, "", SALES, order)
        case PaymentDisputed(order=order, amount=amount):
            return _posting(amount, BANK, "", DISPUTED, order)
        case _:
            return None


def _plan(event: Event) -> Sequence[Line] | None:
    match event:
        case PlanOpened(order=order, instalments=parts):
            opened = (_posting(part.amount, SALES, order, RECEIVABLE, order) for part in parts)
            return [line for lines in opened for line in lines]
        case LateFeeCharged(order=order, fee=fee):
            return _posting(fee, LATE_FEES, "", FEES_RECEIVABLE, order)
        case InstalmentCollected() | PlanSettled() | PlanWrittenOff():
            return _paid_off(event)
        case PlanAdjusted(order=order, return_id=return_id):
            return [
                Line(RETURNS, return_id, event.value),
                Line(RECEIVABLE, order, _minus(event.absorbed)),
                Line(REFUNDS, order, _minus(event.refund)),
            ]
        case RefundPaid(order=order, amount=amount):
            return _posting(amount, BANK, "", REFUNDS, order)
        case _:
            return None


def _merchant(event: Event) -> Sequence[Line] | None:
    match event:
        case PayableAccrued(merchant=merchant, order=order, gross=gross, fee=fee):
            return [
                Line(SALES, order, gross),
                Line(PAYABLE, merchant, _minus(gross - fee)),
                Line(MERCHANT_FEES, "", _minus(fee)),
            ]
        case PayableClawedBack(merchant=merchant, return_id=return_id, amount=amount):
            return _posting(amount, RETURNS, return_id, PAYABLE, merchant)
        case PayoutPrepared(merchant=merchant, payout=payout, amount=amount):
            return _posting(amount, PAYOUTS, payout, PAYABLE, merchant)
        case PayoutCancelled(merchant=merchant, payout=payout, amount=amount):
            return _posting(amount, PAYABLE, merchant, PAYOUTS, payout)
        case PayoutTransferred(payout=payout, amount=amount):
            return _posting(amount, BANK, "", PAYOUTS, payout)
        case _:
            return None


def _paid_off(event: InstalmentCollected | PlanSettled | PlanWrittenOff) -> Sequence[Line]:
    return [
        Line(
            WRITTEN_OFF if isinstance(event, PlanWrittenOff) else BANK,
            "",
            event.principal + event.fees,
        ),
        Line(RECEIVABLE, event.order, _minus(event.principal)),
        Line(FEES_RECEIVABLE, event.order, _minus(event.fees)),
    ]


def _posting(
    money: Money, credit: str, credit_party: str, debit: str, debit_party: str = ""
) -> Sequence[Line]:
    return [Line(debit, debit_party, money), Line(credit, credit_party, _minus(money))]


def _minus(money: Money) -> Money:
    return money * -1

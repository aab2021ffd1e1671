"""The down payment of an order: what the bank holds, took or gave back.

Rules of ours are checked before the bank's reply is looked at, so that a command which breaks one
can be found out before the bank is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.errors import ContentDiffers, NotPositive, OutOfOrder, OutsideAnswerMissing
from domain.kernel import Money
from domain.payments.commands import (
    Approved,
    AuthoriseDownPayment,
    CapturePayment,
    Declined,
    PaymentCommand,
    VoidPayment,
)
from domain.payments.events import (
    CaptureDeclined,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentEvent,
    PaymentRefunded,
    PaymentVoided,
)

CATEGORY: Final = "payment"

Status = Literal["none", "authorised", "captured", "declined", "voided", "refunded"]


@dataclass(frozen=True)
class Payment:
    """`amount` is what the bank holds or took, and None while that is nothing."""

    status: Status = "none"
    amount: Money | None = None


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    match event:
        case PaymentAuthorised(amount=amount):
            return Payment("authorised", amount)
        case PaymentDeclined():
            return Payment("declined")
        case PaymentVoided():
            return Payment("voided")
        case PaymentCaptured():
            return replace(payment, status="captured")
        case CaptureDeclined():
            return payment
        case PaymentRefunded():
            return Payment("refunded")
        case _:
            assert_never(event)


def decide(command: PaymentCommand, payment: Payment) -> Sequence[PaymentEvent]:
    match command:
        case AuthoriseDownPayment():
            return _authorise(command, payment)
        case VoidPayment():
            return _void(command, payment)
        case CapturePayment():
            return _capture(command, payment)
        case _:
            assert_never(command)


def _authorise(command: AuthoriseDownPayment, payment: Payment) -> Sequence[PaymentEvent]:
    order, amount = command.order, command.amount
    if amount.amount <= 0:
        raise NotPositive(str(amount))
    if payment.amount == amount:
        return []
    if payment.amount is not None:
        raise ContentDiffers(f"{payment.amount} is {payment.status}, not {amount}")
    match command.reply:
        case Approved(reference=reference):
            return [PaymentAuthorised(order=order, amount=amount, authorisation=reference)]
        case Declined(code=code):
            return [PaymentDeclined(order=order, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(order)


def _void(command: VoidPayment, payment: Payment) -> Sequence[PaymentEvent]:
    # The bank may hold what we never heard of: an authorisation whose answer was lost. So its
    # reply is asked for, and must be a yes, even where our own state has nothing to take back.
    if command.reply is None:
        raise OutsideAnswerMissing(command.order)
    if isinstance(command.reply, Declined):
        raise OutOfOrder(f"the bank does not void {command.order}: {command.reply.code}")
    if payment.amount is None:
        return []
    if payment.status == "captured":
        return [PaymentRefunded(order=command.order, amount=payment.amount)]
    return [PaymentVoided(order=command.order, amount=payment.amount)]


def _capture(command: CapturePayment, payment: Payment) -> Sequence[PaymentEvent]:
    order, amount = command.order, command.amount
    if payment.amount is None:
        raise OutOfOrder(f"{order} has no authorisation: the payment is {payment.status}")
    if payment.amount != amount:
        raise ContentDiffers(f"{payment.amount} is {payment.status}, not {amount}")
    if payment.status == "captured":
        return []
    match command.reply:
        case Approved(reference=reference):
            return [PaymentCaptured(order=order, amount=amount, capture=reference)]
        case Declined(code=code):
            return [CaptureDeclined(order=order, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(order)

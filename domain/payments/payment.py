"""The down payment of an order: what the bank holds, took or gave back.

Rules of ours are checked before the bank's reply is looked at, so that a command which breaks one
can be found out before the bank is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, assert_never

from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    PaymentCommand,
    RecordDispute,
    VoidPayment,
)
from domain.payments.events import (
    CaptureDeclined,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentEvent,
    PaymentRefunded,
    PaymentVoided,
)
from handrail.errors import ContentDiffers, NotPositive, OutOfOrder, OutsideAnswerMissing
from handrail.kernel import Money
from handrail.replies import Accepted, Declined

CATEGORY: Final = "payment"

Status = Literal["none", "authorised", "captured", "declined", "voided", "refunded"]


@dataclass(frozen=True)
class Payment:
    """`amount` is what the bank holds or took, and None while that is nothing.

    `disputes` are the amounts that the customer claims back through the bank, by its name for each.
    """

    status: Status = "none"
    amount: Money | None = None
    disputes: Mapping[str, Money] = field(default_factory=dict)


def evolve(payment: Payment, event: PaymentEvent) -> Payment:  # noqa: PLR0911  # one arm an event
    match event:
        case PaymentAuthorised(amount=amount):
            return replace(payment, status="authorised", amount=amount)
        case PaymentDeclined():
            return replace(payment, status="declined", amount=None)
        case PaymentVoided():
            return replace(payment, status="voided", amount=None)
        case PaymentCaptured():
            return replace(payment, status="captured")
        case CaptureDeclined():
            return payment
        case PaymentRefunded():
            return replace(payment, status="refunded", amount=None)
        case PaymentDisputed(dispute=dispute, amount=amount):
            return replace(payment, disputes={**payment.disputes, dispute: amount})
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
        case RecordDispute():
            return _dispute(command, payment)
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
        case Accepted(reference=reference):
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
        case Accepted(reference=reference):
            return [PaymentCaptured(order=order, amount=amount, capture=reference)]
        case Declined(code=code):
            return [CaptureDeclined(order=order, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(order)


def _dispute(command: RecordDispute, payment: Payment) -> Sequence[PaymentEvent]:
    order, dispute, amount = command.order, command.dispute, command.amount
    if amount.amount <= 0:
        raise NotPositive(str(amount))
    known = payment.disputes.get(dispute)
    if known == amount:
        return []
    if known is not None:
        raise ContentDiffers(f"{dispute} is about {known}, not {amount}")
    if payment.status != "captured" or payment.amount is None:
        raise OutOfOrder(f"nothing was taken for {order}: the payment is {payment.status}")
    taken = payment.amount + (command.instalments or payment.amount * 0)
    # Several may come to more: one that is dropped may be followed by another for the same money.
    if amount > taken:
        raise OutOfOrder(f"{taken} was taken for {order}, and {amount} is disputed")
    at = command.effective_at
    return [PaymentDisputed(order=order, dispute=dispute, amount=amount, effective_at=at)]

"""Stored for ever: names and fields here are a contract, changed only by a new version.

`balance` is what the merchant is owed after the event, so that a reader needs no history. It is
below zero where more came back than was not paid out yet.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from domain.identifiers import MerchantId, OrderId, PayoutId, ReturnId
from domain.settlement.commands import Document
from handrail.kernel import Event, Money, Refusal

NO_RETURN: Final = ReturnId("")


@dataclass(frozen=True, kw_only=True)
class MerchantAccountOpened(Event, context="settlement"):
    """`fee_bps` is our fee in basis points (hundredths of a percent) of each order's total.

    `onboarding` is whether it was opened for an application.
    """

    merchant: MerchantId
    currency: str
    fee_bps: int
    onboarding: bool = False


@dataclass(frozen=True, kw_only=True)
class PayableAccrued(Event, context="settlement"):
    merchant: MerchantId
    order: OrderId
    gross: Money
    fee: Money
    balance: Money


@dataclass(frozen=True, kw_only=True)
class PayableClawedBack(Event, context="settlement"):
    """`amount` is `gross`, what came back was sold for, less our fee on it; None: not recorded."""

    merchant: MerchantId
    order: OrderId
    amount: Money
    balance: Money
    return_id: ReturnId = NO_RETURN
    gross: Money | None = None


@dataclass(frozen=True, kw_only=True)
class PayoutPrepared(Event, context="settlement"):
    merchant: MerchantId
    payout: PayoutId
    amount: Money
    balance: Money


@dataclass(frozen=True, kw_only=True)
class PayoutRefused(Refusal, context="settlement"):
    merchant: MerchantId
    payout: PayoutId
    amount: Money
    balance: Money

    @property
    def reason(self) -> str:
        return f"only {self.balance} of {self.amount} is owed"


@dataclass(frozen=True, kw_only=True)
class PayoutCancelled(Event, context="settlement"):
    """It did not leave us, and is owed again."""

    merchant: MerchantId
    payout: PayoutId
    amount: Money
    balance: Money


@dataclass(frozen=True, kw_only=True)
class PayoutConfirmed(Event, context="settlement"):
    merchant: MerchantId
    payout: PayoutId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class MerchantAccountClosed(Event, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class ApplicationSubmitted(Event, context="settlement"):
    merchant: MerchantId
    registration: str
    documents: tuple[Document, ...]
    submitted_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApplicationIncomplete(Refusal, context="settlement"):
    """`missing` are the kinds of documents that are needed and were not there."""

    merchant: MerchantId
    missing: tuple[str, ...]

    @property
    def reason(self) -> str:
        return f"documents are missing: {', '.join(self.missing).replace('_', ' ')}"


@dataclass(frozen=True, kw_only=True)
class ApplicationWithdrawn(Event, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class RegistryChecked(Event, context="settlement"):
    """`entry` is the registry's own name for the business."""

    merchant: MerchantId
    registration: str
    entry: str


@dataclass(frozen=True, kw_only=True)
class RegistryRefused(Refusal, context="settlement"):
    merchant: MerchantId
    registration: str
    code: str

    @property
    def reason(self) -> str:
        return f"the registry says no: {self.code}"


@dataclass(frozen=True, kw_only=True)
class CheckDiscarded(Event, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class ApprovalRequested(Event, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class ApprovalClosed(Event, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class MerchantActivated(Event, context="settlement"):
    merchant: MerchantId


PayoutEvent = PayoutPrepared | PayoutRefused | PayoutCancelled | PayoutConfirmed
MerchantEvent = (
    MerchantAccountOpened | PayableAccrued | PayableClawedBack | PayoutEvent | MerchantAccountClosed
)
ApplicationEvent = (
    ApplicationSubmitted
    | ApplicationIncomplete
    | ApplicationWithdrawn
    | RegistryChecked
    | RegistryRefused
    | CheckDiscarded
    | ApprovalRequested
    | ApprovalClosed
    | MerchantActivated
)
EVENTS: tuple[type, ...] = get_args(MerchantEvent | ApplicationEvent)

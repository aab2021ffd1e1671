"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, get_args

from domain.identifiers import CustomerId, MerchantId, OrderId, PayoutId, ReturnId
from handrail.kernel import Event, Money, Refusal
from handrail.personal import Personal


@dataclass(frozen=True, kw_only=True)
class PaymentAuthorised(Event, context="payments"):
    order: OrderId
    amount: Money
    authorisation: str


@dataclass(frozen=True, kw_only=True)
class PaymentDeclined(Refusal, context="payments"):
    order: OrderId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PaymentVoided(Event, context="payments"):
    """Authorised money was let go before it was taken."""

    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class PaymentCaptured(Event, context="payments"):
    order: OrderId
    amount: Money
    capture: str


@dataclass(frozen=True, kw_only=True)
class CaptureDeclined(Refusal, context="payments"):
    order: OrderId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PaymentRefunded(Event, context="payments"):
    """Captured money went back to the customer."""

    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class PaymentDisputed(Event, context="payments"):
    """The customer told the bank to take the amount back; `effective_at` is when, if it said so."""

    order: OrderId
    dispute: str
    amount: Money
    effective_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedInstalment:
    """`amount` is principal: without fees."""

    number: int
    due: date
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """By how much a return made one instalment smaller."""

    number: int
    amount: Money


@dataclass(frozen=True, kw_only=True)
class PlanOpened(Event, context="payments"):
    order: OrderId
    customer: CustomerId
    card: Annotated[str, Personal(subject="customer")]
    instalments: tuple[PlannedInstalment, ...]


@dataclass(frozen=True, kw_only=True)
class InstalmentCollected(Event, context="payments"):
    """`charge` is the bank's own name for what it took: principal and fees."""

    order: OrderId
    number: int
    principal: Money
    fees: Money
    charge: str


@dataclass(frozen=True, kw_only=True)
class InstalmentMissed(Refusal, context="payments"):
    order: OrderId
    number: int
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class LateFeeCharged(Event, context="payments"):
    order: OrderId
    number: int
    fee: Money
    reminder: int


@dataclass(frozen=True, kw_only=True)
class InstalmentRescheduled(Event, context="payments"):
    order: OrderId
    number: int
    due: date


@dataclass(frozen=True, kw_only=True)
class PlanSettled(Event, context="payments"):
    """All that was outstanding was paid at once."""

    order: OrderId
    principal: Money
    fees: Money
    charge: str


@dataclass(frozen=True, kw_only=True)
class SettlementDeclined(Refusal, context="payments"):
    order: OrderId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PlanWrittenOff(Event, context="payments"):
    order: OrderId
    principal: Money
    fees: Money


@dataclass(frozen=True, kw_only=True)
class PlanAdjusted(Event, context="payments"):
    """Of `value`, `absorbed` is no longer due and `refund` is owed to the customer."""

    order: OrderId
    return_id: ReturnId
    value: Money
    absorbed: Money
    refund: Money
    reductions: tuple[Reduction, ...]


@dataclass(frozen=True, kw_only=True)
class PlanMovedOn(Refusal, context="payments"):
    """The plan is not what it was when the return was quoted; `outstanding` is the principal."""

    order: OrderId
    return_id: ReturnId
    outstanding: Money

    @property
    def reason(self) -> str:
        return "an instalment was paid meanwhile: ask again"


@dataclass(frozen=True, kw_only=True)
class AdjustmentReverted(Event, context="payments"):
    """`instalments` are those that grew again or are new, each as it is from now on."""

    order: OrderId
    return_id: ReturnId
    instalments: tuple[PlannedInstalment, ...]


@dataclass(frozen=True, kw_only=True)
class RefundPaid(Event, context="payments"):
    """`refund` is the bank's own name for it, and empty where nothing was to be refunded."""

    order: OrderId
    return_id: ReturnId
    amount: Money
    refund: str


@dataclass(frozen=True, kw_only=True)
class RefundDeclined(Refusal, context="payments"):
    order: OrderId
    return_id: ReturnId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PayoutTransferred(Event, context="payments"):
    payout: PayoutId
    merchant: MerchantId
    amount: Money
    transfer: str


@dataclass(frozen=True, kw_only=True)
class TransferDeclined(Refusal, context="payments"):
    payout: PayoutId
    merchant: MerchantId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


PaymentEvent = (
    PaymentAuthorised
    | PaymentDeclined
    | PaymentVoided
    | PaymentCaptured
    | CaptureDeclined
    | PaymentRefunded
    | PaymentDisputed
)
PlanEvent = (
    PlanOpened
    | InstalmentCollected
    | InstalmentMissed
    | LateFeeCharged
    | InstalmentRescheduled
    | PlanSettled
    | SettlementDeclined
    | PlanWrittenOff
    | PlanAdjusted
    | PlanMovedOn
    | AdjustmentReverted
    | RefundPaid
    | RefundDeclined
)
TransferEvent = PayoutTransferred | TransferDeclined
EVENTS: tuple[type, ...] = get_args(PaymentEvent | PlanEvent | TransferEvent)

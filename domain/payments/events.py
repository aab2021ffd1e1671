"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass

from domain.kernel import Event, Money, OrderId, Refusal


@dataclass(frozen=True, kw_only=True)
class PaymentAuthorised(Event):
    order: OrderId
    amount: Money
    authorisation: str


@dataclass(frozen=True, kw_only=True)
class PaymentDeclined(Refusal):
    order: OrderId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PaymentVoided(Event):
    """Authorised money was let go before it was taken."""

    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class PaymentCaptured(Event):
    order: OrderId
    amount: Money
    capture: str


@dataclass(frozen=True, kw_only=True)
class CaptureDeclined(Refusal):
    order: OrderId
    amount: Money
    code: str

    @property
    def reason(self) -> str:
        return f"the bank declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class PaymentRefunded(Event):
    """Captured money went back to the customer."""

    order: OrderId
    amount: Money


PaymentEvent = (
    PaymentAuthorised
    | PaymentDeclined
    | PaymentVoided
    | PaymentCaptured
    | CaptureDeclined
    | PaymentRefunded
)
EVENTS = (
    PaymentAuthorised,
    PaymentDeclined,
    PaymentVoided,
    PaymentCaptured,
    CaptureDeclined,
    PaymentRefunded,
)

"""What checkouts leave in the store: whole stories, as events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditReleased,
    CreditRestored,
    LimitAssigned,
)
from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId, Sku
from domain.inventory.events import (
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShipped,
)
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    ReturnAccepted,
    ReturnCompleted,
    ReturnLine,
)
from domain.payments.events import PaymentAuthorised, PaymentCaptured, PaymentDeclined
from domain.settlement.events import MerchantAccountOpened, PayableAccrued, PayableClawedBack
from domain.shipping.events import ShipmentBooked, ShipmentDelivered, ShipmentDispatched
from handrail.kernel import Event
from handrail.sagas.events import (
    CompensationStarted,
    SagaDecided,
    SagaEnded,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepRefused,
)
from tests.controls import NOON, a_line, eur

Told = tuple[str, Sequence[Event]]
"""A stream, and events that one transaction appends to it."""


class Shop:
    """One merchant with one article and one customer: figures stay right over many orders."""

    def __init__(self, number: int = 1) -> None:
        self.merchant = MerchantId(f"merchant-{number}")
        self.customer = CustomerId(f"customer-{number}")
        self.sku = Sku("cup")
        self.available, self.reserved = 1_000_000, 0
        self.held, self.used, self.balance = 0, 0, 0

    @property
    def item(self) -> str:
        return f"{self.merchant}:{self.sku}"

    def opens(self) -> Iterator[Told]:
        limit, none = eur(1_000_000_00), eur(0)
        who = self.customer
        article: dict[str, Any] = {"merchant": self.merchant, "sku": self.sku}
        yield (
            f"merchant-{self.merchant}",
            [MerchantAccountOpened(merchant=self.merchant, currency="EUR", fee_bps=290)],
        )
        yield (
            f"stock-{self.item}",
            [StockReceived(**article, delivery="d1", quantity=1_000_000, **self._stock())],
        )
        yield (
            f"credit-{who}",
            [LimitAssigned(customer=who, limit=limit, held=none, used=none)],
        )

    def sells(self, order: OrderId) -> Iterator[Told]:
        """A checkout that completes."""
        yield from self._begins(order)
        yield self._step(order, "AuthoriseDownPayment", "PaymentAuthorised")
        yield (
            f"payment-{order}",
            [PaymentAuthorised(order=order, amount=eur(25_00), authorisation="a")],
        )
        yield f"payment-{order}", [PaymentCaptured(order=order, amount=eur(25_00), capture="c")]
        yield (
            f"saga-{order}",
            [
                self._done(order, "CapturePayment", "PaymentCaptured"),
                SagaDecided(saga=order, attempt=1, approved=True, because="", reason=""),
            ],
        )
        yield f"order-{order}", [OrderConfirmed(order=order)]
        yield self._step(order, "ConfirmOrder", "OrderConfirmed")
        self.held, self.used = self.held - 75_00, self.used + 75_00
        yield f"credit-{self.customer}", [CreditConsumed(**self._credit(order))]
        yield self._step(order, "ConsumeCredit", "CreditConsumed")
        self.balance += 97_10
        yield (
            f"merchant-{self.merchant}",
            [
                PayableAccrued(
                    merchant=self.merchant,
                    order=order,
                    gross=eur(100_00),
                    fee=eur(2_90),
                    balance=eur(self.balance),
                )
            ],
        )
        yield self._step(order, "AccruePayable", "PayableAccrued")
        yield f"shipment-{order}", [ShipmentBooked(order=order, booking="b")]
        yield (
            f"saga-{order}",
            [
                self._done(order, "BookShipment", "ShipmentBooked"),
                SagaEnded(saga=order, attempt=1, ending="completed", because="", reason=""),
            ],
        )

    def takes_back(self, order: OrderId) -> Iterator[Told]:
        """What was sold arrives, and all of it comes back before anything of it was paid off."""
        self.reserved -= 2
        yield f"stock-{self.item}", [StockShipped(**self._reservation(order))]
        yield f"shipment-{order}", [ShipmentDispatched(order=order, at=NOON)]
        yield f"shipment-{order}", [ShipmentDelivered(order=order, at=NOON)]
        yield f"order-{order}", [OrderCompleted(order=order, completed_at=NOON)]
        return_id = ReturnId(f"return-{order}")
        lines, value = (ReturnLine(sku=self.sku, quantity=2),), eur(100_00)
        yield (
            f"order-{order}",
            [
                ReturnAccepted(
                    order=order,
                    return_id=return_id,
                    lines=lines,
                    value=value,
                    why="returned",
                    accepted_at=NOON,
                )
            ],
        )
        self.available += 2
        back = StockReturned(**self._reservation(order), return_id=return_id)
        yield f"stock-{self.item}", [back]
        self.used -= 75_00
        restored = CreditRestored(**self._credit(order), payment=return_id)
        yield f"credit-{self.customer}", [restored]
        self.balance -= 97_10
        yield (
            f"merchant-{self.merchant}",
            [
                PayableClawedBack(
                    merchant=self.merchant,
                    order=order,
                    return_id=return_id,
                    amount=eur(97_10),
                    balance=eur(self.balance),
                )
            ],
        )
        done = ReturnCompleted(order=order, return_id=return_id, everything=True)
        yield f"order-{order}", [done]

    def is_refused(self, order: OrderId) -> Iterator[Told]:
        """A checkout that the bank declines."""
        yield from self._begins(order)
        declined = PaymentDeclined(order=order, amount=eur(25_00), code="no-money")
        because = {"because": "PaymentDeclined", "reason": declined.reason}
        yield f"payment-{order}", [declined]
        yield (
            f"saga-{order}",
            [
                StepRefused(
                    saga=order,
                    attempt=1,
                    step="AuthoriseDownPayment",
                    outcome="PaymentDeclined",
                    reason=declined.reason,
                ),
                SagaDecided(saga=order, attempt=1, approved=False, **because),
                CompensationStarted(saga=order, attempt=1, **because),
            ],
        )
        self.held -= 75_00
        yield f"credit-{self.customer}", [CreditReleased(**self._credit(order))]
        yield self._undone(order, "HoldCredit", "CreditReleased")
        self.available, self.reserved = self.available + 2, self.reserved - 2
        yield f"stock-{self.item}", [StockReleased(**self._reservation(order))]
        yield self._undone(order, "ReserveStock", "StockReleased")
        yield f"order-{order}", [OrderRejected(order=order)]
        yield self._undone(order, "PlaceOrder", "OrderRejected")
        yield (
            f"saga-{order}",
            [SagaEnded(saga=order, attempt=1, ending="refused", **because)],
        )

    def _begins(self, order: OrderId) -> Iterator[Told]:
        yield (
            f"saga-{order}",
            [
                SagaStarted(
                    saga=order,
                    saga_type="checkout",
                    shape=1,
                    attempt=1,
                    tenant=self.merchant,
                    at_stake=eur(100_00),
                    actor="ann",
                )
            ],
        )
        yield f"order-{order}", [placed(order, self.customer, self.merchant, self.sku)]
        yield self._step(order, "PlaceOrder", "OrderPlaced")
        self.available, self.reserved = self.available - 2, self.reserved + 2
        yield f"stock-{self.item}", [StockReserved(**self._reservation(order))]
        yield self._step(order, "ReserveStock", "StockReserved")
        self.held += 75_00
        yield f"credit-{self.customer}", [CreditHeld(**self._credit(order))]
        yield self._step(order, "HoldCredit", "CreditHeld")

    def _stock(self) -> dict[str, Any]:
        return {"available": self.available, "reserved": self.reserved}

    def _reservation(self, order: OrderId) -> dict[str, Any]:
        article = {"merchant": self.merchant, "sku": self.sku}
        return {**article, "order": order, "quantity": 2, **self._stock()}

    def _credit(self, order: OrderId) -> dict[str, Any]:
        figures = {"held": eur(self.held), "used": eur(self.used)}
        return {"customer": self.customer, "order": order, "amount": eur(75_00), **figures}

    def _done(self, order: OrderId, step: str, outcome: str) -> StepDone:
        return StepDone(saga=order, attempt=1, step=step, outcome=outcome)

    def _step(self, order: OrderId, step: str, outcome: str) -> Told:
        return f"saga-{order}", [self._done(order, step, outcome)]

    def _undone(self, order: OrderId, step: str, outcome: str) -> Told:
        undone = StepCompensated(saga=order, attempt=1, step=step, outcome=outcome)
        return f"saga-{order}", [undone]


def placed(
    order: OrderId,
    customer: CustomerId = CustomerId("customer-1"),  # noqa: B008
    merchant: MerchantId = MerchantId("merchant-1"),  # noqa: B008
    sku: Sku = Sku("cup"),  # noqa: B008
) -> OrderPlaced:
    return OrderPlaced(
        order=order,
        customer=customer,
        merchant=merchant,
        lines=(a_line(sku=sku),),
        total=eur(100_00),
        down_payment=eur(25_00),
        instalments=3,
        placed_at=NOON,
    )

"""What checkouts leave in the store: whole stories as appends, the same ones in every run.

Of a hundred orders, eighty are completed; ten are declined by the bank, and ten find no credit.
What is bought is dispatched and delivered while later orders come in, and later still the first
instalment is collected: each of these is a saga of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain, count
from typing import Any, Final

from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    LimitAssigned,
)
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.events import StockReceived, StockReleased, StockReserved, StockShipped
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderLine,
    OrderPlaced,
    OrderRejected,
)
from domain.payments.events import (
    InstalmentCollected,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PlannedInstalment,
    PlanOpened,
)
from domain.settlement.events import MerchantAccountOpened, PayableAccrued
from domain.shipping.events import ShipmentBooked, ShipmentDelivered, ShipmentDispatched
from handrail.kernel import Event, Money
from handrail.sagas.events import (
    CompensationStarted,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepRefused,
)

DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE: Final = 50
"""Stories that are told side by side, one append of each in turn."""
DELIVERED_AFTER, PAID_AFTER = 200, 800
"""So many orders later."""
DECLINED, WITHOUT_CREDIT = {3, 13}, {7, 17}
"""Of twenty orders."""
TOTAL, NOW, LATER, PART, FEE = 100_00, 25_00, 75_00, 25_00, 2_90


@dataclass(frozen=True)
class Append:
    """What one transaction leaves, by stream, and the step of the saga that it belongs to."""

    events: Mapping[str, Sequence[Event]]
    metadata: Mapping[str, Any]


@dataclass
class Market:
    """Its customers order at its merchants. `name` sets the ids apart from those of others."""

    name: str
    customers: int
    merchants: int
    skus: int = 5
    _held: dict[CustomerId, int] = field(default_factory=dict)
    _used: dict[CustomerId, int] = field(default_factory=dict)
    _reserved: dict[tuple[MerchantId, Sku], int] = field(default_factory=dict)
    _shipped: dict[tuple[MerchantId, Sku], int] = field(default_factory=dict)
    _balance: dict[MerchantId, int] = field(default_factory=dict)

    @property
    def openings(self) -> int:
        """How many events that is."""
        return self.merchants * (1 + self.skus) + self.customers

    def opens(self) -> Iterator[Append]:
        for number in range(self.merchants):
            merchant = self._merchant(number)
            opened = MerchantAccountOpened(merchant=merchant, currency="EUR", fee_bps=290)
            yield self._alone(f"merchant-{merchant}", opened)
            for kind in range(self.skus):
                sku = Sku(f"sku-{kind}")
                came: dict[str, Any] = {
                    "merchant": merchant,
                    "sku": sku,
                    **self._stock(merchant, sku),
                }
                received = StockReceived(delivery="opening", quantity=PLENTY, **came)
                yield self._alone(f"stock-{merchant}:{sku}", received)
        for number in range(self.customers):
            who = self._customer(number)
            assigned = LimitAssigned(customer=who, limit=_eur(PLENTY), **self._credit(who))
            yield self._alone(f"credit-{who}", assigned)

    def trades(self) -> Iterator[Append]:
        """For ever: stories side by side, each in its own order."""
        begun = chain.from_iterable(map(self._stories, count()))
        under_way = deque(next(begun) for _ in range(AT_ONCE))
        while True:
            story = under_way.popleft()
            append = next(story, None)
            if append is None:
                under_way.append(next(begun))
            else:
                yield append
                under_way.append(story)

    def _stories(self, number: int) -> Iterator[Iterator[Append]]:
        yield self._checkout(self._order(number), number % 20)
        for after, story in ((DELIVERED_AFTER, self._delivery), (PAID_AFTER, self._instalment)):
            earlier = number - after
            if earlier >= 0 and earlier % 20 not in DECLINED | WITHOUT_CREDIT:
                yield story(self._order(earlier))

    def _order(self, number: int) -> _Order:
        return _Order(
            order=OrderId(f"{self.name}-{number:08d}"),
            customer=self._customer(number * 7919),
            merchant=self._merchant(number * 31),
            sku=Sku(f"sku-{number % self.skus}"),
        )

    def _checkout(self, o: _Order, kind: int) -> Iterator[Append]:
        saga = _Saga(o.order, "Checkout", o.merchant)
        yield saga.begins()
        yield from self._promises(o, saga, refused=kind in WITHOUT_CREDIT)
        if kind in WITHOUT_CREDIT:
            yield saga.ends("refused", "CreditRefused", "")
        elif kind in DECLINED:
            yield from self._is_declined(o, saga)
        else:
            yield from self._is_bought(o, saga)

    def _promises(self, o: _Order, saga: _Saga, *, refused: bool) -> Iterator[Append]:
        placed = OrderPlaced(
            order=o.order,
            customer=o.customer,
            merchant=o.merchant,
            lines=(OrderLine(sku=o.sku, quantity=2, unit_price=_eur(TOTAL // 2)),),
            total=_eur(TOTAL),
            down_payment=_eur(NOW),
            instalments=3,
            placed_at=DAY,
        )
        yield saga.does("PlaceOrder", f"order-{o.order}", placed)
        self._move(self._reserved, (o.merchant, o.sku), 2)
        reserved = StockReserved(**o.line, **self._stock(o.merchant, o.sku))
        yield saga.does("ReserveStock", o.item, reserved)
        if refused:
            missing = CreditRefused(**o.debt, amount=_eur(LATER), missing=_eur(1))
            yield saga.is_told_no("HoldCredit", f"credit-{o.customer}", missing)
            yield from self._undoes(o, saga, held=False)
            return
        self._move(self._held, o.customer, LATER)
        held = CreditHeld(**o.debt, amount=_eur(LATER), **self._credit(o.customer))
        yield saga.does("HoldCredit", f"credit-{o.customer}", held)

    def _is_declined(self, o: _Order, saga: _Saga) -> Iterator[Append]:
        declined = PaymentDeclined(order=o.order, amount=_eur(NOW), code="no-money")
        yield saga.is_told_no("AuthoriseDownPayment", f"payment-{o.order}", declined)
        yield from self._undoes(o, saga, held=True)
        yield saga.ends("refused", "PaymentDeclined", declined.reason)

    def _undoes(self, o: _Order, saga: _Saga, *, held: bool) -> Iterator[Append]:
        if held:
            self._move(self._held, o.customer, -LATER)
            released = CreditReleased(**o.debt, amount=_eur(LATER), **self._credit(o.customer))
            yield saga.undoes("HoldCredit", f"credit-{o.customer}", released)
        self._move(self._reserved, (o.merchant, o.sku), -2)
        back = StockReleased(**o.line, **self._stock(o.merchant, o.sku))
        yield saga.undoes("ReserveStock", o.item, back)
        yield saga.undoes("PlaceOrder", f"order-{o.order}", OrderRejected(order=o.order))

    def _is_bought(self, o: _Order, saga: _Saga) -> Iterator[Append]:
        payment, credit = f"payment-{o.order}", f"credit-{o.customer}"
        authorised = PaymentAuthorised(order=o.order, amount=_eur(NOW), authorisation="a-1")
        yield saga.does("AuthoriseDownPayment", payment, authorised)
        captured = PaymentCaptured(order=o.order, amount=_eur(NOW), capture="c-1")
        yield saga.does("CapturePayment", payment, captured, approved=True)
        yield saga.does("ConfirmOrder", f"order-{o.order}", OrderConfirmed(order=o.order))
        self._move(self._held, o.customer, -LATER)
        self._move(self._used, o.customer, LATER)
        consumed = CreditConsumed(**o.debt, amount=_eur(LATER), **self._credit(o.customer))
        yield saga.does("ConsumeCredit", credit, consumed)
        self._move(self._balance, o.merchant, TOTAL - FEE)
        accrued = PayableAccrued(
            merchant=o.merchant,
            order=o.order,
            gross=_eur(TOTAL),
            fee=_eur(FEE),
            balance=_eur(self._balance[o.merchant]),
        )
        yield saga.does("AccruePayable", f"merchant-{o.merchant}", accrued)
        planned = tuple(
            PlannedInstalment(number=number, due=date(2026, 1 + number, 1), amount=_eur(PART))
            for number in (1, 2, 3)
        )
        opened = PlanOpened(order=o.order, customer=o.customer, card="card_ok", instalments=planned)
        yield saga.does("OpenPlan", f"plan-{o.order}", opened)
        booked = ShipmentBooked(order=o.order, booking="b-1")
        yield saga.does("BookShipment", f"shipment-{o.order}", booked)
        yield saga.ends("completed")

    def _delivery(self, o: _Order) -> Iterator[Append]:
        dispatch = _Saga(f"dispatch-{o.order}", "Dispatch", o.merchant)
        yield dispatch.begins()
        self._move(self._reserved, (o.merchant, o.sku), -2)
        self._move(self._shipped, (o.merchant, o.sku), 2)
        shipped = StockShipped(**o.line, **self._stock(o.merchant, o.sku))
        yield dispatch.does("ShipStock", o.item, shipped)
        under_way = ShipmentDispatched(order=o.order, at=DAY)
        yield dispatch.does("RecordDispatch", f"shipment-{o.order}", under_way)
        yield dispatch.ends("completed")
        delivery = _Saga(f"delivered-{o.order}", "Delivered", o.merchant)
        yield delivery.begins()
        there = ShipmentDelivered(order=o.order, at=DAY)
        yield delivery.does("RecordDelivery", f"shipment-{o.order}", there)
        done = OrderCompleted(order=o.order, completed_at=DAY)
        yield delivery.does("CompleteOrder", f"order-{o.order}", done)
        yield delivery.ends("completed")

    def _instalment(self, o: _Order) -> Iterator[Append]:
        saga = _Saga(f"instalment-{o.order}-1", "CollectInstalment", o.merchant)
        yield saga.begins()
        collected = InstalmentCollected(
            order=o.order, number=1, principal=_eur(PART), fees=_eur(0), charge="i-1"
        )
        yield saga.does("CollectInstalment", f"plan-{o.order}", collected, approved=True)
        self._move(self._used, o.customer, -PART)
        restored = CreditRestored(
            **o.debt, amount=_eur(PART), payment="instalment-1", **self._credit(o.customer)
        )
        yield saga.does("RestoreCredit", f"credit-{o.customer}", restored)
        yield saga.ends("completed")

    def _alone(self, stream: str, event: Event) -> Append:
        return Append({stream: [event]}, {"actor": "opening"})

    def _customer(self, number: int) -> CustomerId:
        return CustomerId(f"{self.name}-customer-{number % self.customers}")

    def _merchant(self, number: int) -> MerchantId:
        return MerchantId(f"{self.name}-merchant-{number % self.merchants}")

    @staticmethod
    def _move(figures: dict[Any, int], key: object, by: int) -> None:
        figures[key] = figures.get(key, 0) + by

    def _stock(self, merchant: MerchantId, sku: Sku) -> dict[str, Any]:
        reserved = self._reserved.get((merchant, sku), 0)
        gone = reserved + self._shipped.get((merchant, sku), 0)
        return {"available": PLENTY - gone, "reserved": reserved}

    def _credit(self, who: CustomerId) -> dict[str, Any]:
        return {"held": _eur(self._held.get(who, 0)), "used": _eur(self._used.get(who, 0))}


PLENTY: Final = 100_000_000
"""Of stock and of credit: nothing is refused that is not meant to be."""


@dataclass(frozen=True)
class _Order:
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    sku: Sku

    @property
    def item(self) -> str:
        return f"stock-{self.merchant}:{self.sku}"

    @property
    def line(self) -> dict[str, Any]:
        return {"merchant": self.merchant, "sku": self.sku, "order": self.order, "quantity": 2}

    @property
    def debt(self) -> dict[str, Any]:
        return {"customer": self.customer, "order": self.order}


@dataclass(frozen=True)
class _Saga:
    name: str
    type: str
    merchant: MerchantId

    def begins(self) -> Append:
        started = SagaStarted(
            saga=self.name,
            saga_type=self.type,
            shape=1,
            attempt=1,
            tenant=self.merchant,
            at_stake=_eur(TOTAL),
            actor="customer",
            run="0b1c6f6e-6f6b-4a43-9a57-2f0f8f6a7a11",
            opened_on=DAY.date(),
            steps=("PlaceOrder", "ReserveStock", "HoldCredit", "CapturePayment"),
        )
        return self._append("BeginSaga", {f"saga-{self.name}": [started]})

    def does(self, step: str, stream: str, event: Event, *, approved: bool = False) -> Append:
        told: list[Event] = [StepDone(**self._said(step, event))]
        if approved:
            said: dict[str, Any] = {"saga": self.name, "attempt": 1, "because": "", "reason": ""}
            told.append(SagaDecided(approved=True, **said))
        return self._append(step, {stream: [event], f"saga-{self.name}": told})

    def is_told_no(self, step: str, stream: str, refusal: Any) -> Append:
        said: dict[str, Any] = {"saga": self.name, "attempt": 1, "reason": refusal.reason}
        because = type(refusal).__name__
        told: list[Event] = [
            StepRefused(step=step, outcome=because, **said),
            SagaDecided(approved=False, because=because, **said),
            CompensationStarted(because=because, **said),
        ]
        return self._append(step, {stream: [refusal], f"saga-{self.name}": told})

    def undoes(self, step: str, stream: str, event: Event) -> Append:
        told = [StepCompensated(**self._said(step, event))]
        return self._append(step, {stream: [event], f"saga-{self.name}": told}, direction="undo")

    def ends(self, ending: Ending, because: str = "", reason: str = "") -> Append:
        ended = SagaEnded(saga=self.name, attempt=1, ending=ending, because=because, reason=reason)
        return self._append("EndSaga", {f"saga-{self.name}": [ended]})

    def _said(self, step: str, event: Event) -> dict[str, Any]:
        return {"saga": self.name, "attempt": 1, "step": step, "outcome": type(event).__name__}

    def _append(
        self, step: str, events: Mapping[str, Sequence[Event]], *, direction: str = "do"
    ) -> Append:
        metadata = {
            "actor": "customer",
            "correlation": self.name,
            "causation": f"{self.name}/1/{step}/{direction}",
            "attempt": 1,
            "step": step,
            "direction": direction,
            "saga": self.name,
            "merchant": self.merchant,
        }
        return Append(events, metadata)


def _eur(cents: int) -> Money:
    return Money(cents, "EUR")


def everything(market: Market) -> Iterator[Append]:
    return chain(market.opens(), market.trades())

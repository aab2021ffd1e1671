"""Months of business, as they would be on record: made from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.credit.events import CreditRefused
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.events import StockUnavailable
from domain.payments.events import (
    InstalmentCollected,
    InstalmentMissed,
    PaymentDeclined,
    PlannedInstalment,
    PlanOpened,
    PlanWrittenOff,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentLost,
)
from handrail.kernel import Event
from handrail.sagas.events import SagaStarted
from tests.controls import a_line, eur
from tests.messaging.lake.place import Place
from tests.projections.stories import placed

MERCHANTS = ("alpine-bikes", "book-harbour", "cup-and-kettle", "delta-shoes", "east-lamps", "fjord")


@dataclass(frozen=True)
class Told:
    at: datetime
    stream: str
    event: Event
    saga: str


async def happens(
    place: Place, first: datetime, days: int, orders: int, seed: int = 1
) -> list[Told]:
    """Put it on record, in the order of its time."""
    told = sorted(history(first, days, orders, random.Random(seed)), key=lambda one: one.at)
    for one in told:
        await place.on_record(one.at, one.stream, one.event, saga=one.saga, actor="shop")
    return told


def history(first: datetime, days: int, orders: int, chance: random.Random) -> Iterator[Told]:
    last = first + timedelta(days=days)
    for number in range(orders):
        at = first + timedelta(days=days * number / orders, hours=chance.uniform(0, 12))
        for one in _order(OrderId(f"o-{number}"), at, chance, number / orders):
            if one.at < last:
                yield one


def _order(order: OrderId, at: datetime, chance: random.Random, progress: float) -> Iterator[Told]:
    merchant = MerchantId(chance.choices(MERCHANTS, (9, 7, 5, 4, 3, 2))[0])
    customer = CustomerId(f"customer-{chance.randrange(400)}")

    def told(when: datetime, category: str, event: Event) -> Told:
        return Told(when, f"{category}-{order}", event, order)

    started = SagaStarted(
        saga=order,
        saga_type="Checkout",
        shape=1,
        attempt=1,
        tenant=merchant,
        at_stake=eur(100_00),
        actor="shop",
    )
    yield told(at, "saga", started)
    begun = placed(order, customer, merchant)
    yield told(at, "order", type(begun)(**{**vars(begun), "placed_at": at}))
    if refusal := _refusal(order, customer, merchant, chance):
        yield told(at + timedelta(seconds=1), *refusal)
        return
    yield told(at + timedelta(seconds=2), "shipment", ShipmentBooked(order=order, booking="b"))
    yield _arrival(order, at, chance)
    yield from _plan(order, customer, at, chance, progress)


def _refusal(
    order: OrderId, customer: CustomerId, merchant: MerchantId, chance: random.Random
) -> tuple[str, Event] | None:
    line = a_line(sku=Sku("cup"))
    possible: list[tuple[float, str, Event]] = [
        (0.05, "payment", PaymentDeclined(order=order, amount=eur(25_00), code="no-money")),
        (0.02, "payment", PaymentDeclined(order=order, amount=eur(25_00), code="card-expired")),
        (
            0.06,
            "credit",
            CreditRefused(
                customer=customer, order=order, amount=line.unit_price, missing=eur(20_00)
            ),
        ),
        (
            0.08 if merchant in MERCHANTS[3:] else 0.01,
            "stock",
            StockUnavailable(
                merchant=merchant, sku=line.sku, order=order, requested=2, available=1
            ),
        ),
        (0.01, "shipment", ShipmentDeclined(order=order, code="no-such-street")),
    ]
    for likely, category, event in possible:
        if chance.random() < likely:
            return category, event
    return None


def _arrival(order: OrderId, at: datetime, chance: random.Random) -> Told:
    hours = chance.lognormvariate(3.6, 0.45)
    arrived = at + timedelta(hours=hours)
    event: Event = ShipmentDelivered(order=order, at=arrived)
    if chance.random() < 0.02:
        event = ShipmentLost(order=order, at=arrived, cause="never-seen")
    return Told(arrived, f"shipment-{order}", event, order)


def _plan(
    order: OrderId, customer: CustomerId, at: datetime, chance: random.Random, progress: float
) -> Iterator[Told]:
    dues = [at + timedelta(days=30 * number) for number in (1, 2, 3)]
    planned = tuple(
        PlannedInstalment(number=number, due=due.date(), amount=eur(25_00))
        for number, due in enumerate(dues, start=1)
    )
    opened = PlanOpened(order=order, customer=customer, card="card", instalments=planned)

    def told(when: datetime, event: Event) -> Told:
        return Told(when, f"plan-{order}", event, order)

    yield told(at + timedelta(seconds=3), opened)
    for number, due in enumerate(dues, start=1):
        if chance.random() > 0.08 + 0.07 * progress:
            yield told(due + timedelta(hours=3), _collected(order, number))
            continue
        missed = InstalmentMissed(order=order, number=number, amount=eur(25_00), code="no-money")
        yield told(due + timedelta(hours=3), missed)
        late = due + timedelta(days=chance.choice((3, 7, 14, 40)))
        if chance.random() < 0.75:
            yield told(late, _collected(order, number))
        else:
            lost = PlanWrittenOff(order=order, principal=eur(25_00 * (4 - number)), fees=eur(0))
            yield told(due + timedelta(days=60), lost)
            return


def _collected(order: OrderId, number: int) -> Event:
    return InstalmentCollected(
        order=order, number=number, principal=eur(25_00), fees=eur(0), charge="c"
    )

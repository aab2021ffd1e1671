"""A merchant's stock of one article: what is promised to orders was there to be promised.

One command may name several articles, so `decide` sees the shelf: all items that it names. An item
that is missing from the shelf was never received.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from domain.errors import NoLines
from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from domain.inventory.commands import (
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    Restock,
    ShipStock,
    StockCommand,
    StockLine,
)
from domain.inventory.events import (
    StockEvent,
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShipped,
    StockUnavailable,
)
from handrail.errors import ContentDiffers, NotPositive, UnknownAggregate

CATEGORY: Final = "stock"

# Deliveries and returns are reported again soon or never. The event store's fence catches what is
# older, and an item that is delivered daily for years does not grow.
REMEMBERED_DELIVERIES: Final = 32
REMEMBERED_RETURNS: Final = 32


@dataclass(frozen=True)
class StockItem:
    available: int = 0
    reservations: Mapping[OrderId, int] = field(default_factory=dict)
    deliveries: tuple[str, ...] = ()
    returns: tuple[ReturnId, ...] = ()

    @property
    def reserved(self) -> int:
        return sum(self.reservations.values())


Shelf = Mapping[Sku, StockItem]


def stream_id(merchant: MerchantId, sku: Sku) -> str:
    """Merchants choose their own SKUs, so a SKU alone names nothing."""
    return f"{merchant}:{sku}"


def evolve(item: StockItem, event: StockEvent) -> StockItem:
    match event:
        case StockReceived(delivery=delivery, quantity=quantity):
            deliveries = (*item.deliveries, delivery)[-REMEMBERED_DELIVERIES:]
            return replace(item, available=item.available + quantity, deliveries=deliveries)
        case StockReserved(order=order, quantity=quantity):
            reservations = {**item.reservations, order: quantity}
            return replace(item, available=item.available - quantity, reservations=reservations)
        case StockUnavailable():
            return item
        case StockReleased(order=order, quantity=quantity):
            reservations = _without(item, order)
            return replace(item, available=item.available + quantity, reservations=reservations)
        case StockShipped(order=order):
            return replace(item, reservations=_without(item, order))
        case StockReturned(return_id=return_id, quantity=quantity):
            returns = (*item.returns, return_id)[-REMEMBERED_RETURNS:]
            return replace(item, available=item.available + quantity, returns=returns)
        case _:
            assert_never(event)


def decide(command: StockCommand, shelf: Shelf) -> Sequence[StockEvent]:
    match command:
        case ReceiveStock():
            return _receive(command, shelf.get(command.sku, StockItem()))
        case ReserveStock():
            return _reserve(command, shelf)
        case ReleaseStock():
            return _release(command, shelf)
        case ShipStock():
            return _ship(command, shelf)
        case Restock():
            return _restock(command, shelf)
        case _:
            assert_never(command)


def _receive(command: ReceiveStock, item: StockItem) -> Sequence[StockEvent]:
    if command.quantity <= 0:
        raise NotPositive(f"{command.quantity} {command.sku}")
    if command.delivery in item.deliveries:
        return []
    return [
        StockReceived(
            merchant=command.merchant,
            sku=command.sku,
            delivery=command.delivery,
            quantity=command.quantity,
            available=item.available + command.quantity,
            reserved=item.reserved,
        )
    ]


def _reserve(command: ReserveStock, shelf: Shelf) -> Sequence[StockEvent]:
    order, merchant = command.order, command.merchant
    if not command.lines:
        raise NoLines(order)
    lines = [(sku, q, shelf.get(sku, StockItem())) for sku, q in _summed(command.lines).items()]
    for sku, quantity, item in lines:
        if item.reservations.get(order, quantity) != quantity:
            raise ContentDiffers(f"{order} holds {item.reservations[order]} {sku}, not {quantity}")
    lines = [line for line in lines if order not in line[2].reservations]
    short = [
        StockUnavailable(
            merchant=merchant,
            sku=sku,
            order=order,
            requested=quantity,
            available=item.available,
        )
        for sku, quantity, item in lines
        if quantity > item.available
    ]
    return short or [
        StockReserved(
            merchant=merchant,
            sku=sku,
            order=order,
            quantity=quantity,
            available=item.available - quantity,
            reserved=item.reserved + quantity,
        )
        for sku, quantity, item in lines
    ]


def _summed(lines: Iterable[StockLine]) -> Mapping[Sku, int]:
    """An article may stand on two lines, at two prices: its stock is one quantity all the same."""
    summed: dict[Sku, int] = {}
    for line in lines:
        if line.quantity <= 0:
            raise NotPositive(f"{line.quantity} {line.sku}")
        summed[line.sku] = summed.get(line.sku, 0) + line.quantity
    return summed


def _release(command: ReleaseStock, shelf: Shelf) -> Sequence[StockEvent]:
    items = {sku: shelf.get(sku, StockItem()) for sku in command.skus}
    return [
        StockReleased(
            merchant=command.merchant,
            sku=sku,
            order=command.order,
            quantity=item.reservations[command.order],
            available=item.available + item.reservations[command.order],
            reserved=item.reserved - item.reservations[command.order],
        )
        for sku, item in items.items()
        if command.order in item.reservations
    ]


def _ship(command: ShipStock, shelf: Shelf) -> Sequence[StockEvent]:
    items = {sku: shelf.get(sku, StockItem()) for sku in command.skus}
    return [
        StockShipped(
            merchant=command.merchant,
            sku=sku,
            order=command.order,
            quantity=item.reservations[command.order],
            available=item.available,
            reserved=item.reserved - item.reservations[command.order],
        )
        for sku, item in items.items()
        if command.order in item.reservations
    ]


def _restock(command: Restock, shelf: Shelf) -> Sequence[StockEvent]:
    if not command.lines:
        raise NoLines(command.return_id)
    lines = [(sku, q, shelf.get(sku, StockItem())) for sku, q in _summed(command.lines).items()]
    for sku, _, item in lines:
        if not item.deliveries:
            raise UnknownAggregate(f"{sku} was never received")
    return [
        StockReturned(
            merchant=command.merchant,
            sku=sku,
            order=command.order,
            return_id=command.return_id,
            quantity=quantity,
            available=item.available + quantity,
            reserved=item.reserved,
        )
        for sku, quantity, item in lines
        if command.return_id not in item.returns
    ]


def _without(item: StockItem, order: OrderId) -> dict[OrderId, int]:
    return {o: quantity for o, quantity in item.reservations.items() if o != order}

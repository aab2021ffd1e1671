"""An order: what was bought and on which terms, and whether it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.errors import (
    ContentDiffers,
    DownPaymentDiffers,
    NoLines,
    NotPositive,
    OutOfOrder,
    TotalDiffers,
    UnknownAggregate,
)
from domain.kernel import Money
from domain.ordering.commands import ConfirmOrder, OrderCommand, PlaceOrder, RejectOrder
from domain.ordering.events import OrderConfirmed, OrderEvent, OrderPlaced, OrderRejected
from domain.ordering.terms import down_payment

CATEGORY: Final = "order"

Status = Literal["unknown", "placed", "rejected", "confirmed"]


@dataclass(frozen=True)
class Order:
    status: Status = "unknown"
    content: OrderPlaced | None = None


def evolve(order: Order, event: OrderEvent) -> Order:
    match event:
        case OrderPlaced():
            return Order(status="placed", content=event)
        case OrderRejected():
            return Order(status="rejected")
        case OrderConfirmed():
            return replace(order, status="confirmed")
        case _:
            assert_never(event)


def decide(command: OrderCommand, order: Order) -> Sequence[OrderEvent]:
    match command:
        case PlaceOrder():
            return _place(command, order)
        case RejectOrder():
            return _reject(command, order)
        case ConfirmOrder():
            return _confirm(command, order)
        case _:
            assert_never(command)


def _place(command: PlaceOrder, order: Order) -> Sequence[OrderEvent]:
    placed = OrderPlaced(
        order=command.order,
        customer=command.customer,
        merchant=command.merchant,
        lines=command.lines,
        total=command.total,
        down_payment=command.down_payment,
        instalments=command.instalments,
        placed_at=command.placed_at,
    )
    if order.content == placed:
        return []
    if order.content is not None:
        raise ContentDiffers(command.order)
    _check(command)
    return [placed]


def _reject(command: RejectOrder, order: Order) -> Sequence[OrderEvent]:
    if order.status == "confirmed":
        raise OutOfOrder(f"{command.order} is confirmed")
    return [OrderRejected(order=command.order)] if order.status == "placed" else []


def _confirm(command: ConfirmOrder, order: Order) -> Sequence[OrderEvent]:
    if order.status == "unknown":
        raise UnknownAggregate(command.order)
    if order.status == "rejected":
        raise OutOfOrder(f"{command.order} is rejected")
    return [OrderConfirmed(order=command.order)] if order.status == "placed" else []


def _check(command: PlaceOrder) -> None:
    if not command.lines:
        raise NoLines(command.order)
    for line in command.lines:
        if line.quantity <= 0 or line.unit_price.amount < 0:
            raise NotPositive(f"{line.quantity} {line.sku} at {line.unit_price}")
    nothing = Money(0, command.total.currency)
    if sum((line.unit_price * line.quantity for line in command.lines), nothing) != command.total:
        raise TotalDiffers(str(command.total))
    due = down_payment(command.total, command.instalments)
    if command.down_payment != due:
        raise DownPaymentDiffers(f"{due} is due, not {command.down_payment}")

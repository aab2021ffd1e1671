"""Example data that all tests share: readable, never twice the same id, each detail replaceable."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.ordering.commands import PlaceOrder
from domain.ordering.events import OrderLine
from domain.ordering.terms import down_payment
from handrail.kernel import Money

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def eur(cents: int) -> Money:
    return Money(cents, "EUR")


def usd(cents: int) -> Money:
    return Money(cents, "USD")


def readable_id(kind: str) -> str:
    """Such as `order-3fa9c1`."""
    return f"{kind}-{uuid4().hex[:6]}"


def an_order_id() -> OrderId:
    return OrderId(readable_id("order"))


def a_customer() -> CustomerId:
    return CustomerId(readable_id("customer"))


def a_merchant() -> MerchantId:
    return MerchantId(readable_id("merchant"))


def a_sku() -> Sku:
    return Sku(readable_id("sku"))


def a_line(*, sku: Sku | None = None, quantity: int = 2, price: int = 50_00) -> OrderLine:
    return OrderLine(sku=sku or a_sku(), quantity=quantity, unit_price=eur(price))


def an_order(
    *,
    order: OrderId | None = None,
    customer: CustomerId | None = None,
    merchant: MerchantId | None = None,
    lines: tuple[OrderLine, ...] = (),
    instalments: int = 3,
    placed_at: datetime = NOON,
) -> PlaceOrder:
    """A valid one: its total and its down payment follow from its lines."""
    lines = lines or (a_line(),)
    total = sum((line.unit_price * line.quantity for line in lines), eur(0))
    return PlaceOrder(
        order=order or an_order_id(),
        customer=customer or a_customer(),
        merchant=merchant or a_merchant(),
        lines=lines,
        total=total,
        down_payment=down_payment(total, instalments),
        instalments=instalments,
        placed_at=placed_at,
    )

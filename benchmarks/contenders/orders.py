"""What is ordered where: the same orders for every contender."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.ordering.events import OrderLine
from handrail.kernel import Money
from workflows.checkout import Checkout

MERCHANTS: Final = 20
CUSTOMERS: Final = 500
SKUS: Final = 500
"""Over all merchants."""
PLENTY: Final = 1_000_000
"""Of stock and of credit: nothing that is measured may be refused by the business."""

_PRICE: Final = Money(10_00, "EUR")
_TODAY: Final = datetime.now(UTC)


def merchant(number: int) -> MerchantId:
    return MerchantId(f"merchant-{number % MERCHANTS}")


def customer(number: int) -> CustomerId:
    return CustomerId(f"customer-{number % CUSTOMERS}")


def sku(number: int) -> Sku:
    return Sku(f"sku-{number % SKUS}")


def checkout(number: int) -> Checkout:
    return Checkout(
        order=OrderId(f"order-{number}"),
        customer=customer(number),
        merchant=merchant(number),
        lines=(OrderLine(sku=sku(number), quantity=1, unit_price=_PRICE),),
        total=_PRICE,
        instalments=3,
        card="card_ok",
        ship_to="addr_ok",
        placed_at=_TODAY,
    )

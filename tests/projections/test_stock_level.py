from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from domain.inventory.events import (
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShipped,
)
from handrail.projections.projection import OutOfPlace
from projections.stock_level import PROJECTION, StockLevel
from tests.projections import folds
from tests.projections.folds import at

CUP: dict[str, Any] = {"merchant": MerchantId("bob"), "sku": Sku("tea:cup")}
RESERVED = StockReserved(**CUP, order=OrderId("1"), quantity=2, available=8, reserved=2)
SHIPPED = StockShipped(**CUP, order=OrderId("1"), quantity=2, available=8, reserved=0)
after = partial(folds.after, PROJECTION, id_="bob:tea:cup")


def received(quantity: int, available: int) -> StockReceived:
    return StockReceived(
        **CUP, delivery=f"d{available}", quantity=quantity, available=available, reserved=0
    )


def test_a_delivery_is_there_to_sell() -> None:
    assert after(received(10, 10)) == StockLevel(
        item="bob:tea:cup",
        merchant="bob",
        sku="tea:cup",
        available=10,
        reserved=0,
        received=10,
        updated_at=at(1),
    )


def test_deliveries_add_up() -> None:
    assert after(received(10, 10), received(5, 15)).received == 15


def test_what_is_reserved_cannot_be_sold_again() -> None:
    row = after(received(10, 10), RESERVED)

    assert (row.available, row.reserved, row.received) == (8, 2, 10)


def test_what_is_released_can_be_sold_again() -> None:
    back = StockReleased(**CUP, order=OrderId("1"), quantity=2, available=10, reserved=0)

    row = after(received(10, 10), RESERVED, back)

    assert (row.available, row.reserved) == (10, 0)


def test_what_left_the_house_came_and_is_not_there() -> None:
    row = after(received(10, 10), RESERVED, SHIPPED)

    assert (row.available, row.reserved, row.shipped, row.received) == (8, 0, 2, 10)


def test_what_came_back_can_be_sold_again() -> None:
    back = StockReturned(
        **CUP,
        order=OrderId("1"),
        return_id=ReturnId("r"),
        quantity=1,
        available=9,
        reserved=0,
    )

    row = after(received(10, 10), RESERVED, SHIPPED, back, received(5, 14))

    assert (row.available, row.shipped, row.returned, row.received) == (14, 2, 1, 15)


def test_a_reservation_of_what_never_came_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(RESERVED)

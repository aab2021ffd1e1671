import pytest

from domain.errors import NoLines
from domain.identifiers import OrderId, ReturnId, Sku
from domain.inventory import stock
from domain.inventory.commands import ReleaseStock, ReserveStock, Restock, ShipStock, StockLine
from domain.inventory.events import (
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShipped,
    StockUnavailable,
)
from domain.inventory.stock import REMEMBERED_RETURNS, StockItem
from handrail.errors import DomainError, NotPositive, UnknownAggregate
from handrail.testing.scenario import Keyed, Scenario
from tests.controls import a_merchant, an_order_id

shelf = Scenario(Keyed(stock, StockItem(), key="sku"), {})
MERCHANT, ORDER, OTHER = a_merchant(), an_order_id(), an_order_id()
CUP, POT, RETURN = Sku("cup"), Sku("pot"), ReturnId("return-1")


def received(quantity: int, sku: Sku = CUP) -> StockReceived:
    return StockReceived(
        merchant=MERCHANT,
        sku=sku,
        delivery="monday",
        quantity=quantity,
        available=quantity,
        reserved=0,
    )


def reserved(
    quantity: int, *, available: int, total: int, sku: Sku = CUP, order: OrderId = ORDER
) -> StockReserved:
    return StockReserved(
        merchant=MERCHANT,
        sku=sku,
        order=order,
        quantity=quantity,
        available=available,
        reserved=total,
    )


def ship(*skus: Sku) -> ShipStock:
    return ShipStock(order=ORDER, merchant=MERCHANT, skus=skus)


def shipped(quantity: int, *, available: int, total: int, sku: Sku = CUP) -> StockShipped:
    return StockShipped(
        merchant=MERCHANT,
        sku=sku,
        order=ORDER,
        quantity=quantity,
        available=available,
        reserved=total,
    )


def restock(*lines: tuple[Sku, int], name: ReturnId = RETURN) -> Restock:
    stock_lines = tuple(StockLine(sku=sku, quantity=quantity) for sku, quantity in lines)
    return Restock(merchant=MERCHANT, return_id=name, order=ORDER, lines=stock_lines)


def returned(
    quantity: int, *, available: int, total: int = 0, sku: Sku = CUP, name: ReturnId = RETURN
) -> StockReturned:
    return StockReturned(
        merchant=MERCHANT,
        sku=sku,
        order=ORDER,
        return_id=name,
        quantity=quantity,
        available=available,
        reserved=total,
    )


promised = shelf.given(received(5), reserved(2, available=3, total=2))
gone = promised.given(shipped(2, available=3, total=0))
RELEASED = StockReleased(
    merchant=MERCHANT, sku=CUP, order=ORDER, quantity=2, available=5, reserved=0
)


def test_what_was_promised_leaves_the_house() -> None:
    promised.when(ship(CUP)).then(shipped(2, available=3, total=0))


def test_all_articles_of_an_order_leave_together() -> None:
    both = promised.given(received(4, POT), reserved(1, available=3, total=1, sku=POT))
    both.when(ship(CUP, POT)).then(
        shipped(2, available=3, total=0), shipped(1, available=3, total=0, sku=POT)
    )


def test_it_leaves_once() -> None:
    gone.when(ship(CUP)).then()


def test_where_nothing_is_promised_nothing_leaves() -> None:
    shelf.when(ship(CUP)).then()
    shelf.given(received(5)).when(ship(CUP, POT)).then()
    promised.given(RELEASED).when(ship(CUP)).then()


def test_an_order_takes_only_its_own() -> None:
    other = promised.given(reserved(3, available=0, total=5, order=OTHER))
    other.when(ship(CUP)).then(shipped(2, available=0, total=3))


def test_what_left_is_not_there_to_promise() -> None:
    wanted = ReserveStock(order=OTHER, merchant=MERCHANT, lines=(StockLine(sku=CUP, quantity=4),))
    (event,) = gone.when(wanted).decided
    assert isinstance(event, StockUnavailable)
    assert event.available == 3


def test_what_came_back_can_be_promised_again() -> None:
    gone.when(restock((CUP, 2))).then(returned(2, available=5))


def test_what_came_back_does_not_touch_what_is_promised() -> None:
    kept = gone.given(reserved(3, available=0, total=3, order=OTHER))
    kept.when(restock((CUP, 1))).then(returned(1, available=1, total=3))


def test_a_return_is_counted_once() -> None:
    back = gone.given(returned(2, available=5))
    back.when(restock((CUP, 2))).then()


def test_a_second_return_is_added() -> None:
    later = ReturnId("return-2")
    back = gone.given(returned(1, available=4))
    back.when(restock((CUP, 1), name=later)).then(returned(1, available=5, name=later))


def test_one_article_on_two_lines_is_one_quantity() -> None:
    gone.when(restock((CUP, 1), (CUP, 1))).then(returned(2, available=5))


def test_a_return_that_was_counted_in_part_is_counted_to_its_end() -> None:
    both = gone.given(received(4, POT), returned(1, available=4))
    both.when(restock((CUP, 1), (POT, 1))).then(returned(1, available=5, sku=POT))


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([], NoLines),
        ([(CUP, 0)], NotPositive),
        ([(CUP, 1), (CUP, -1)], NotPositive),
        ([(CUP, 1), (POT, 1)], UnknownAggregate),
    ],
)
def test_a_return_is_of_something_that_was_here(
    lines: list[tuple[Sku, int]], rule: type[DomainError]
) -> None:
    gone.when(restock(*lines)).then_refuses_rule(rule)


def test_old_returns_are_forgotten_and_recent_ones_are_not() -> None:
    busy = gone
    for number in range(REMEMBERED_RETURNS + 1):
        busy = busy.when(restock((CUP, 1), name=ReturnId(f"return-{number}")))
    busy.when(restock((CUP, 1), name=ReturnId("return-1"))).then()
    assert busy.when(restock((CUP, 1), name=ReturnId("return-0"))).decided


def test_of_ship_and_release_the_first_wins() -> None:
    release = ReleaseStock(order=ORDER, merchant=MERCHANT, skus=(CUP,))
    promised.when(release).then(RELEASED).when(ship(CUP)).then()
    promised.when(ship(CUP)).then(shipped(2, available=3, total=0)).when(release).then()

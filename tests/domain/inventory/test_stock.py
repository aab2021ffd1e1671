from dataclasses import replace

import pytest

from domain.errors import NoLines
from domain.identifiers import OrderId, Sku
from domain.inventory import stock
from domain.inventory.commands import ReceiveStock, ReleaseStock, ReserveStock, StockLine
from domain.inventory.events import StockReceived, StockReleased, StockReserved, StockUnavailable
from domain.inventory.stock import REMEMBERED_DELIVERIES, StockItem
from handrail.errors import ContentDiffers, NotPositive
from handrail.testing.scenario import Keyed, Scenario
from tests.controls import a_merchant, an_order_id

shelf = Scenario(Keyed(stock, StockItem(), key="sku"), {})
MERCHANT, ORDER, OTHER = a_merchant(), an_order_id(), an_order_id()
CUP, POT = Sku("cup"), Sku("pot")


def receive(quantity: int, sku: Sku = CUP, delivery: str = "monday") -> ReceiveStock:
    return ReceiveStock(merchant=MERCHANT, sku=sku, delivery=delivery, quantity=quantity)


def received(quantity: int, sku: Sku = CUP) -> StockReceived:
    return StockReceived(
        merchant=MERCHANT,
        sku=sku,
        delivery="monday",
        quantity=quantity,
        available=quantity,
        reserved=0,
    )


def reserve(*lines: tuple[Sku, int], order: OrderId = ORDER) -> ReserveStock:
    stock_lines = tuple(StockLine(sku=sku, quantity=quantity) for sku, quantity in lines)
    return ReserveStock(order=order, merchant=MERCHANT, lines=stock_lines)


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


def unavailable(requested: int, *, available: int, sku: Sku = CUP) -> StockUnavailable:
    return StockUnavailable(
        merchant=MERCHANT, sku=sku, order=ORDER, requested=requested, available=available
    )


def release(*skus: Sku) -> ReleaseStock:
    return ReleaseStock(order=ORDER, merchant=MERCHANT, skus=skus)


def released(quantity: int, *, available: int, total: int, sku: Sku = CUP) -> StockReleased:
    return StockReleased(
        merchant=MERCHANT,
        sku=sku,
        order=ORDER,
        quantity=quantity,
        available=available,
        reserved=total,
    )


def test_a_delivery_can_be_promised() -> None:
    shelf.when(receive(5)).then(received(5))


def test_a_delivery_is_counted_once() -> None:
    shelf.given(received(5)).when(receive(5)).then()


def test_a_second_delivery_is_added() -> None:
    tuesday = receive(2, delivery="tuesday")
    (event,) = shelf.given(received(5)).when(tuesday).decided
    assert event == replace(received(2), delivery="tuesday", available=7)


def test_an_empty_delivery_is_no_delivery() -> None:
    shelf.when(receive(0)).then_refuses_rule(NotPositive)


def test_old_deliveries_are_forgotten_and_recent_ones_are_not() -> None:
    daily = shelf
    for day in range(REMEMBERED_DELIVERIES + 1):
        daily = daily.when(receive(1, delivery=f"day-{day}"))
    daily.when(receive(1, delivery="day-1")).then()
    assert daily.when(receive(1, delivery="day-0")).decided


def test_stock_is_promised_to_an_order() -> None:
    shelf.given(received(5)).when(reserve((CUP, 2))).then(reserved(2, available=3, total=2))


def test_the_last_piece_can_be_promised() -> None:
    shelf.given(received(5)).when(reserve((CUP, 5))).then(reserved(5, available=0, total=5))


def test_what_is_not_there_is_not_promised() -> None:
    shelf.given(received(5)).when(reserve((CUP, 6))).then(unavailable(6, available=5))
    shelf.when(reserve((CUP, 1))).then(unavailable(1, available=0))


def test_all_lines_are_promised_or_none() -> None:
    both = reserve((CUP, 2), (POT, 1))
    shelf.given(received(5)).when(both).then(unavailable(1, available=0, sku=POT))
    shelf.given(received(5), received(1, POT)).when(both).then(
        reserved(2, available=3, total=2), reserved(1, available=0, total=1, sku=POT)
    )


def test_every_short_line_is_named() -> None:
    shelf.when(reserve((CUP, 2), (POT, 1))).then(
        unavailable(2, available=0), unavailable(1, available=0, sku=POT)
    )


def test_stock_is_promised_once() -> None:
    once = reserve((CUP, 2))
    shelf.given(received(5), reserved(2, available=3, total=2)).when(once).then()
    shelf.given(received(2), reserved(2, available=0, total=2)).when(once).then()


def test_the_same_order_cannot_want_another_quantity() -> None:
    given = shelf.given(received(5), reserved(2, available=3, total=2))
    given.when(reserve((CUP, 3))).then_refuses_rule(ContentDiffers)


def test_two_lines_of_one_article_are_one_quantity() -> None:
    twice = reserve((CUP, 2), (CUP, 1))
    shelf.given(received(5)).when(twice).then(reserved(3, available=2, total=3))
    shelf.given(received(2)).when(twice).then(unavailable(3, available=2))


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_is_something(quantity: int) -> None:
    wrong = reserve((CUP, 2), (CUP, quantity))
    shelf.given(received(5)).when(wrong).then_refuses_rule(NotPositive)


def test_a_reservation_names_something() -> None:
    shelf.given(received(5)).when(reserve()).then_refuses_rule(NoLines)


def test_released_stock_can_be_promised_again() -> None:
    promised = shelf.given(received(5), reserved(5, available=0, total=5))
    gone = promised.when(release(CUP)).then(released(5, available=5, total=0))
    gone.when(reserve((CUP, 5))).then(reserved(5, available=0, total=5))


def test_stock_is_released_once() -> None:
    promised = shelf.given(received(5), reserved(2, available=3, total=2))
    promised.when(release(CUP, CUP)).then(released(2, available=5, total=0)).when(
        release(CUP)
    ).then()


def test_every_article_named_is_released() -> None:
    promised = shelf.given(
        received(2),
        received(1, POT),
        reserved(2, available=0, total=2),
        reserved(1, available=0, total=1, sku=POT),
    )
    promised.when(release(CUP, POT)).then(
        released(2, available=2, total=0), released(1, available=1, total=0, sku=POT)
    )


def test_releasing_what_was_never_promised_changes_nothing() -> None:
    shelf.when(release(CUP)).then()
    shelf.given(received(5)).when(release(CUP, POT)).then()


def test_an_order_releases_only_its_own() -> None:
    shelf.given(
        received(5),
        reserved(2, available=3, total=2),
        reserved(3, available=0, total=5, order=OTHER),
    ).when(release(CUP)).then(released(2, available=2, total=3))


def test_of_two_orders_for_the_last_pieces_the_first_wins() -> None:
    first = shelf.given(received(5)).when(reserve((CUP, 3), order=OTHER))
    first.when(reserve((CUP, 3))).then(unavailable(3, available=2))
    first.when(reserve((CUP, 2))).then(reserved(2, available=0, total=5))


def test_a_stream_belongs_to_one_merchant() -> None:
    assert stock.stream_id(MERCHANT, CUP) == f"{MERCHANT}:cup"

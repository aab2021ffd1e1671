"""What must hold for any events: the rows agree with the aggregates, and streams do not disturb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.credit import credit_line
from domain.credit.credit_line import CreditLine
from domain.identifiers import OrderId
from domain.inventory import stock
from domain.inventory.stock import StockItem
from domain.settlement import merchant_account
from domain.settlement.merchant_account import MerchantAccount
from handrail.projections import saga_board
from handrail.projections.projection import Happened, Projection, category_of, id_of
from handrail.testing.scenario import Keyed
from projections import customer_account, merchant_balance, order_status, stock_level
from runtime.app import HANDRAIL
from tests.domain.walks import credit_commands, merchant_commands, stock_commands, walk
from tests.inputs import inputs
from tests.projections.folds import folded, told
from tests.projections.stories import Shop, Told
from tests.projections.world import as_stored

A_FEW = inputs(60, few=20)


@A_FEW
@given(credit_commands())
def test_a_customer_account_shows_what_the_credit_line_is(commands: Sequence[Any]) -> None:
    walked = list(walk(credit_line, CreditLine(), commands))
    row = folded(customer_account.PROJECTION, told([event for event, _ in walked]))
    if row is None:
        return
    line: CreditLine = walked[-1][1]

    figures = (row.limit, row.held, row.used, row.currency)
    assert figures == (
        line.limit.amount,
        line.held.amount,
        line.used.amount,
        line.limit.currency,
    )
    assert {order: amounts["held"] for order, amounts in row.orders.items()} == {
        **dict.fromkeys(line.debts, 0),
        **{order: money.amount for order, money in line.holds.items()},
    }
    assert sum(amounts["owed"] for amounts in row.orders.values()) == row.used


@A_FEW
@given(stock_commands())
def test_a_stock_level_shows_what_the_shelf_holds(commands: Sequence[Any]) -> None:
    shelf: Mapping[Any, StockItem] = {}
    rows: dict[Any, Any] = {}
    for event, state in walk(Keyed(stock, StockItem(), "sku"), {}, commands):
        shelf = state
        [happened] = told([event], id_=event.sku)
        if type(event) in stock_level.PROJECTION.handles:
            rows[event.sku] = stock_level.evolve(rows.get(event.sku), happened)

    assert {sku: (row.available, row.reserved) for sku, row in rows.items()} == {
        sku: (item.available, item.reserved) for sku, item in shelf.items() if sku in rows
    }
    assert all(
        row.available + row.reserved + row.shipped == row.received + row.returned
        for row in rows.values()
    )


@A_FEW
@given(merchant_commands())
def test_a_merchant_balance_shows_what_the_account_is(commands: Sequence[Any]) -> None:
    walked = list(walk(merchant_account, MerchantAccount(), commands))
    handled = [event for event, _ in walked if type(event) in merchant_balance.PROJECTION.handles]
    row = folded(merchant_balance.PROJECTION, told(handled))
    if row is None:
        return
    account: MerchantAccount = walked[-1][1]

    assert row.balance == account.balance.amount
    assert (row.status == "open") == account.is_open
    assert row.payouts == {
        payout: pending.amount.amount for payout, pending in account.payouts.pending.items()
    }
    assert row.balance == (row.gross - row.fees - row.clawed_back - row.on_its_way - row.paid_out)


def happened_in(story: Sequence[Told]) -> Sequence[tuple[str, Happened]]:
    events = [(stream, event) for stream, several in story for event in several]
    placed = told(event for _, event in events)
    return [(stream, one) for (stream, _), one in zip(events, placed, strict=True)]


def an_order_story(*, refused: bool) -> Sequence[Told]:
    shop, order = Shop(), OrderId("1")
    story = shop.is_refused(order) if refused else [*shop.sells(order), *shop.takes_back(order)]
    return [(stream, events) for stream, events in story if id_of(stream) == order]


@pytest.mark.parametrize("projection", [order_status.PROJECTION, saga_board.projection("merchant")])
@pytest.mark.parametrize("refused", [True, False])
@inputs(40, few=10)
@given(data=st.data())
def test_streams_of_one_row_may_be_read_in_any_order_among_each_other(
    projection: Projection[Any], *, refused: bool, data: st.DataObject
) -> None:
    """But for what begins the row, which everything else waited for."""
    story = [
        (stream, one)
        for stream, one in happened_in(an_order_story(refused=refused))
        if category_of(stream) in projection.categories and type(one.event) in projection.handles
    ]
    first, rest = story[0][1], story[1:]
    queues: dict[str, list[Happened]] = {}
    for stream, one in rest:
        queues.setdefault(stream, []).append(one)
    mixed = []
    while queues:
        stream = data.draw(st.sampled_from(sorted(queues)))
        mixed.append(queues[stream].pop(0))
        if not queues[stream]:
            del queues[stream]

    assert folded(projection, [first, *mixed]) == folded(projection, [first, *(e for _, e in rest)])


@pytest.mark.parametrize("projection", HANDRAIL.read_models, ids=lambda one: one.name)
def test_a_row_survives_the_way_to_the_database_and_back(projection: Projection[Any]) -> None:
    """Folding on from a stored row is the same as folding on from the one in memory."""
    shop = Shop()
    story = list(
        chain(
            shop.opens(),
            shop.sells(OrderId("1")),
            shop.is_refused(OrderId("2")),
            shop.takes_back(OrderId("1")),
        )
    )
    memory: dict[str, Any] = {}
    stored: dict[str, Any] = {}
    for stream, one in happened_in(story):
        if category_of(stream) in projection.categories and type(one.event) in projection.handles:
            id_ = id_of(stream)
            memory[id_] = projection.evolve(memory.get(id_), one)
            row = projection.evolve(stored.get(id_), one)
            stored[id_] = row and projection.row(**as_stored(row))

    assert {id_: as_stored(row) for id_, row in memory.items() if row} == {
        id_: as_stored(row) for id_, row in stored.items() if row
    }

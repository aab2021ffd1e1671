"""What comes back is worth what it cost: it is no longer due, or is paid back, and never both."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.kernel import Money
from handrail.sagas.events import SagaEnded
from handrail.testing.running_saga import Running
from tests.controls import a_line, eur
from tests.workflows.asked import how_it_ended
from tests.workflows.ordered import Ordered
from tests.workflows.returned import (
    a_bought_order,
    a_delivered_order,
    a_return,
    an_instalment_is_paid,
    plan_of,
)
from tests.workflows.steps import side_by_side
from tests.world import World
from workflows import return_order

COMPLETED = WorkflowExecutionStatus.COMPLETED
PRICE = eur(50_00)


async def begun(returned: Running) -> SagaEnded:
    """How the return ended."""
    await returned.starts()
    assert await returned.ends() == COMPLETED
    return await how_it_ended(returned)


async def refunds(order: Ordered) -> list[dict[str, Any]]:
    ledger = (await order.world.bank.get("/ledger")).json()
    return [one for one in ledger["refunds"] if one["order"] == order.id]


@pytest.mark.thorough
@side_by_side
async def test_what_is_still_due_absorbs_the_value_and_the_bank_is_not_asked(world: World) -> None:
    order = await a_delivered_order(world)
    before = await plan_of(order)
    assert (await begun(await a_return(order, quantity=1))).ending == "completed"
    after, books = await plan_of(order), await order.books()
    assert after.outstanding == before.outstanding - PRICE
    assert books.credit.debts == {order.id: after.outstanding}
    assert await refunds(order) == []
    assert books.order.status == "completed"


@side_by_side
async def test_what_was_paid_already_is_refunded(world: World) -> None:
    order = await a_delivered_order(world)
    before = await plan_of(order)
    assert (await begun(await a_return(order))).ending == "completed"
    books = await order.books()
    [refund] = await refunds(order)
    assert Money(refund["amount"], "EUR") == order.input.total - before.outstanding
    assert (await plan_of(order)).status == "settled"
    assert books.credit.debts == {}
    assert books.order.status == "returned"


@side_by_side
async def test_it_goes_back_into_stock_and_off_the_merchants_account(world: World) -> None:
    order = await a_delivered_order(world)
    before = await order.books()
    await begun(await a_return(order, quantity=1))
    after = await order.books()
    assert after.stock.available == before.stock.available + 1
    fee = Money(1_25, "EUR")
    assert after.merchant.balance == before.merchant.balance - (PRICE - fee)


@pytest.mark.thorough
@side_by_side
async def test_a_merchant_whose_order_came_back_piece_by_piece_is_owed_nothing(
    world: World,
) -> None:
    """Whose fee on three pieces is not three times that on one."""
    order = await a_delivered_order(world, line=a_line(quantity=3, price=33_33))
    for _ in range(3):
        assert (await begun(await a_return(order, quantity=1))).ending == "completed"
    books = await order.books()
    assert books.order.status == "returned"
    assert books.merchant.balance == eur(0)


@side_by_side
async def test_what_was_lost_on_its_way_does_not_go_back_into_stock(world: World) -> None:
    order = await a_bought_order(world)
    before = await order.books()
    assert (await begun(await a_return(order, why="lost"))).ending == "completed"
    after = await order.books()
    assert after.stock == before.stock
    assert after.order.status == "returned"
    assert after.merchant.balance == eur(0)


@side_by_side
async def test_before_it_is_delivered_nothing_can_come_back(world: World) -> None:
    order = await a_bought_order(world)
    ended = await begun(await a_return(order))
    assert (ended.ending, ended.because) == ("refused", "ReturnRefused")
    assert await refunds(order) == []


@side_by_side
async def test_an_instalment_paid_after_the_quote_refuses_and_the_next_quote_fits(
    world: World,
) -> None:
    order = await a_delivered_order(world)
    stale = await a_return(order)
    await an_instalment_is_paid(order, 1)
    paid = await plan_of(order)
    ended = await begun(stale)
    assert (ended.ending, ended.because) == ("refused", "PlanMovedOn")
    assert await plan_of(order) == paid
    assert (await begun(await a_return(order))).ending == "completed"


@side_by_side
async def test_a_refused_return_leaves_its_pieces_to_the_next(world: World) -> None:
    order = await a_delivered_order(world, card="card_refund_declined")
    plan = await plan_of(order)
    ended = await begun(await a_return(order))
    assert (ended.ending, ended.because) == ("refused", "RefundDeclined")
    books = await order.books()
    assert books.order.returns == {}
    assert books.credit.debts == {order.id: plan.outstanding}
    assert (await plan_of(order)).instalments == plan.instalments


@side_by_side
async def test_more_than_was_bought_cannot_come_back_even_side_by_side(world: World) -> None:
    order = await a_delivered_order(world)
    first, second = await a_return(order), await a_return(order)
    await first.starts()
    await second.starts()
    assert await first.ends() == await second.ends() == COMPLETED
    endings = [(await how_it_ended(one)).ending for one in (first, second)]
    assert sorted(endings) == ["completed", "refused"]
    assert len(await refunds(order)) == 1


def test_the_two_kinds_differ_only_in_what_goes_into_stock() -> None:
    returned, lost = return_order.SAGA.example().names, return_order.example_of_lost().names
    assert [one for one in returned if one != "Restock"] == list(lost)

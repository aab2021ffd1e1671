"""A dear order waits for a person, and what follows an order begins once it stands."""

from __future__ import annotations

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from tests.controls import eur
from tests.workflows.asked import how_it_ended
from tests.workflows.ordered import Ordered
from tests.workflows.steps import side_by_side
from tests.world import World
from workflows import checkout
from workflows.options import ShopOptions

FOLLOWING = ("plan", "delivery")


async def a_dear_order(world: World) -> Ordered:
    """Of one cent more than goes without a review."""
    order = await world.an_order()
    above = (order.input.total - eur(1)).amount
    order.options = ShopOptions(**{**vars(order.options), "review_above": above})
    return order


async def exists(order: Ordered, process: str) -> bool:
    try:
        await order.world.client.get_workflow_handle(f"{process}-{order.id}").describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


@side_by_side
async def test_a_reviewed_order_stands_and_what_follows_begins(world: World) -> None:
    order = await a_dear_order(world)
    await order.starts()
    await order.tells("AnswerAwaited", "RequestReview")
    await order.is_answered(approved=True)
    assert await order.ends() == WorkflowExecutionStatus.COMPLETED
    assert (await how_it_ended(order)).ending == "completed"
    assert [await exists(order, process) for process in FOLLOWING] == [True, True]


@side_by_side
async def test_an_order_that_a_person_declines_is_taken_back_and_nothing_follows(
    world: World,
) -> None:
    order = await a_dear_order(world)
    await order.starts()
    await order.tells("AnswerAwaited", "RequestReview")
    await order.is_answered(approved=False)
    await order.ends()
    ended = await how_it_ended(order)
    assert (ended.ending, ended.because) == ("refused", "Declined")
    books = await order.books()
    assert (books.order.status, books.bank_states) == ("rejected", ["voided"])
    assert [await exists(order, process) for process in FOLLOWING] == [False, False]


@side_by_side
async def test_an_order_of_exactly_the_limit_is_not_reviewed(world: World) -> None:
    order = await world.an_order()
    order.options = ShopOptions(**{**vars(order.options), "review_above": order.input.total.amount})
    await order.starts()
    await order.ends()
    assert (await how_it_ended(order)).ending == "completed"


def test_a_review_is_the_last_promise_before_the_pivot() -> None:
    usual, reviewed = checkout.SAGA.example(), checkout.example_of_reviewed()
    assert [one for one in reviewed.names if one != "RequestReview"] == list(usual.names)
    assert reviewed.groups[-1][0].name == "RequestReview"

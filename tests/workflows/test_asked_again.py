"""What is asked again after a clear no goes out under a key that the company still answers."""

from __future__ import annotations

import asyncio

from domain.identifiers import ReturnId
from domain.payments.commands import AdjustPlan, RevertAdjustment
from domain.payments.events import InstalmentMissed
from handrail.sagas.events import SagaParked
from tests.controls import eur
from tests.workflows.asked import does
from tests.workflows.collecting import a_plan
from tests.workflows.steps import PIVOT, side_by_side
from tests.workflows.test_collect_instalments import collection_of
from tests.world import World

BACK = ReturnId("r1")


@side_by_side
async def test_a_retry_of_what_the_bank_was_told_to_forget_is_no_miss(world: World) -> None:
    """A rule was broken after the bank was asked, and holds again."""
    plan = await a_plan(world, instalments=1)
    one = collection_of(plan, 1)
    adjusted = AdjustPlan(order=plan.order, return_id=BACK, value=eur(4_00), absorbed=eur(4_00))
    await does(world, adjusted)
    await one.starts()
    await one.parks("CollectInstalment")
    await does(world, RevertAdjustment(order=plan.order, return_id=BACK))
    await one.is_told("retry")
    await one.ends()
    assert await plan.told(InstalmentMissed) == []


@side_by_side
async def test_a_void_that_was_declined_once_can_be_retried(world: World) -> None:
    order = await world.an_order(card="card_void_declined_1")
    order.refuses(PIVOT)
    await order.starts()
    await order.parks("AuthoriseDownPayment")
    await order.is_told("retry")
    ending = asyncio.create_task(order.ends())
    again = asyncio.create_task(order.parks("AuthoriseDownPayment", times=2))
    await asyncio.wait({ending, again}, return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        await order.is_told("skip")
    await ending
    again.cancel()
    books = await order.books()
    assert len(books.told(SagaParked)) == 1
    assert books.bank_states == ["voided"]

"""The bank and the step that decides: what arrives late never charges what was taken back."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.payments.gateway import HttpBank
from domain.payments.commands import CapturePayment
from handrail.replies import Declined
from handrail.sagas.events import StepUnknown
from tests.unencrypted import company
from tests.workflows.ordered import Ordered, Placement
from tests.workflows.steps import PIVOT, at, side_by_side
from tests.world import World
from workflows.checkout import saga

COMPLETED = WorkflowExecutionStatus.COMPLETED
AUTHORISE = "AuthoriseDownPayment"


async def is_taken_back_by_an_operator(order: Ordered) -> None:
    await order.parks(PIVOT)
    await order.is_told("compensate", PIVOT)
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("compensated", "intervention")
    assert books.fence[PIVOT, "do"].closed


@pytest.mark.quick(1)
@at([PIVOT])
async def test_a_capture_that_comes_after_everything_was_taken_back_lands_nowhere(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, patience=2)
    held = order.is_held(step)
    await order.starts()
    await is_taken_back_by_an_operator(order)
    late = await held.landed()
    assert late
    assert all(isinstance(one, Exception) for one in late)
    books = await order.leaves_a_clean_slate()
    assert books.bank_states == ["voided"]


@at([PIVOT])
async def test_a_capture_whose_answer_was_lost_is_refunded_when_it_is_taken_back(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, patience=2)
    order.loses_the_answer(step)
    await order.starts()
    await is_taken_back_by_an_operator(order)
    books = await order.books()
    assert books.bank_states == ["refunded"]


@side_by_side
async def test_a_bank_that_captures_late_finds_the_key_voided(world: World) -> None:
    order = await world.an_order(card="card_capture_late_4", patience=2)
    await order.starts()
    await is_taken_back_by_an_operator(order)
    pivot = saga(order.input).pivot
    assert isinstance(pivot, CapturePayment)
    reply = await HttpBank(company(world.session, world.bank)).capture(
        key=f"{order.id}/1/{PIVOT}/do", order=order.id, amount=pivot.amount
    )
    assert reply == Declined(code="voided")
    books = await order.leaves_a_clean_slate()
    assert books.bank_states == ["voided"]


@side_by_side
async def test_a_bank_that_authorises_late_finds_the_key_voided(world: World) -> None:
    order = await world.an_order(card="card_late_4", deadline=2)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    [unknown] = books.told(StepUnknown)
    assert unknown.step == AUTHORISE
    assert AUTHORISE in books.undone
    pivot = saga(order.input).pivot
    assert isinstance(pivot, CapturePayment)
    reply = await HttpBank(company(world.session, world.bank)).authorise(
        key=f"{order.id}/1/{AUTHORISE}/do",
        order=order.id,
        amount=pivot.amount,
        card="card_late_4",
    )
    assert reply == Declined(code="voided")
    books = await order.leaves_a_clean_slate()
    assert books.bank == []

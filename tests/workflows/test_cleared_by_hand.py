"""What a person says of an earlier attempt's step says nothing of the step that is asked anew."""

from __future__ import annotations

import pytest

from handrail.sagas.events import StepCompensated
from handrail.testing.trial import a_trial
from tests.workflows.harness.cases import CASES
from tests.workflows.steps import PIVOT, side_by_side
from tests.workflows.test_attempts import ends_of
from tests.world import World


@side_by_side
async def test_what_was_cleared_up_by_hand_and_done_anew_is_taken_back(world: World) -> None:
    order = await world.an_order(patience=1)
    pivot = order.is_held(PIVOT)
    await order.starts()
    await pivot.reached()
    await order.is_terminated()
    order.recovers(PIVOT)
    order.refuses(PIVOT)
    order.fails("AuthoriseDownPayment", "undo")
    await order.is_started_again()
    await order.parks("AuthoriseDownPayment")
    order.recovers("AuthoriseDownPayment", "undo")
    await order.is_told("resolve", "AuthoriseDownPayment")
    await order.ends()
    books = await order.books()
    assert books.ended.ending == "refused"
    assert sorted(books.bank_states) == ["voided", "voided"]


@pytest.mark.thorough
@side_by_side
async def test_what_was_cleared_up_by_hand_is_not_cleared_up_by_the_attempt_after(
    world: World,
) -> None:
    order = await world.an_order(patience=1)
    pivot = order.is_held(PIVOT)
    await order.starts()
    await pivot.reached()
    await order.is_terminated()
    order.recovers(PIVOT)
    order.fails("ReserveStock", "undo")
    rejecting = order.is_held("PlaceOrder", "undo")
    await order.is_started_again()
    await order.parks("ReserveStock")
    await order.is_told("skip", "ReserveStock")
    await rejecting.reached()
    await order.is_terminated()
    order.recovers("PlaceOrder", "undo")
    order.recovers("ReserveStock", "undo")
    await order.is_started_again()
    await order.ends()
    assert [one.ending for one in await ends_of(order)] == ["completed"]
    undone = [
        one.attempt
        for one in await order.story()
        if isinstance(one, StepCompensated) and one.step == "ReserveStock"
    ]
    assert undone == []


@side_by_side
async def test_who_clears_up_may_still_be_cancelled(world: World) -> None:
    """Nothing is taken back of the attempt that has begun: it would go on to its pivot."""
    order = await world.an_order(patience=1)
    pivot = order.is_held(PIVOT)
    await order.starts()
    await pivot.reached()
    await order.is_terminated()
    order.recovers(PIVOT)
    order.fails("ReserveStock", "undo")
    await order.is_started_again()
    await order.parks("ReserveStock")
    await order.is_cancelled_by_the_requester()
    order.recovers("ReserveStock", "undo")
    await order.is_told("retry", "ReserveStock")
    await order.ends()
    assert [(one.ending, one.because) for one in await ends_of(order)] == [
        ("compensated", "cancelled")
    ]


@side_by_side
async def test_a_pivot_that_was_let_go_of_by_hand_was_not_asked_by_the_attempt(
    world: World,
) -> None:
    """So it may still be cancelled."""
    case = CASES["PayMerchant"]
    trial = await a_trial(world, case, "local", {}, patience=1)
    alone = trial.is_done_by_the_company_alone("TransferPayout")
    await trial.starts()
    await alone.wait()
    await trial.is_terminated()
    trial.recovers("TransferPayout")
    trial.fails("TransferPayout", "undo")
    trial.fails("PreparePayout", "undo")
    await trial.is_started_again()
    await trial.parks("TransferPayout")
    await trial.is_told("skip", "TransferPayout")
    await trial.parks("PreparePayout")
    await trial.is_cancelled_by_the_requester()
    trial.recovers("PreparePayout", "undo")
    await trial.is_told("retry", "PreparePayout")
    await trial.ends()
    assert [(one.ending, one.because) for one in await ends_of(trial)] == [
        ("compensated", "cancelled")
    ]

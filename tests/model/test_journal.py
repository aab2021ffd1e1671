"""What the model found, each by the one look that was missing in the saga's own stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from domain.identifiers import MerchantId
from handrail.activities.saga_recorder import activities
from handrail.kernel import Money
from handrail.sagas.events import CancelRequested, SagaDecided, SagaEnded, SagaStarted, StepDone
from handrail.sagas.step_keys import OVER, StepContext, StepKey
from handrail.sagas.stream_answers import Begun, Cancelled, Turned
from handrail.sagas.stream_commands import RequestCancellation, TurnBack
from runtime.app import HANDRAIL
from tests.model.bank import Ledger
from tests.model.store import Contents, MemoryStore
from tests.model.world import World

TODAY = date(2026, 11, 23)
STARTED = SagaStarted(
    saga="saga",
    saga_type="Model",
    shape=1,
    attempt=1,
    tenant=MerchantId("merchant"),
    at_stake=Money(1, "EUR"),
    actor="customer",
    run="run-1",
    opened_on=TODAY,
    steps=("Reserve", "Place", "Confirm"),
    repeats="never",
)
SECOND = replace(STARTED, attempt=2, run="run-2")
WISH = CancelRequested(saga="saga", attempt=2, actor="customer", reason="changed my mind")
ENDED = SagaEnded(saga="saga", attempt=1, ending="completed", because="", reason="")
APPROVED = SagaDecided(saga="saga", attempt=1, approved=True, because="", reason="")
REFUSED = replace(APPROVED, approved=False, because="unknown")
PLACED = StepDone(saga="saga", attempt=1, step="Place", outcome="Taken")


def _activity(store: MemoryStore, name: str) -> Callable[..., Any]:
    in_memory: Any = store
    [found] = [one for one in activities(in_memory, HANDRAIL.codec) if one.__name__ == name]
    return found


def _context(step: str, attempt: int = 2) -> StepContext:
    key = StepKey(saga="saga", attempt=attempt, step=step, opened_on=TODAY)
    return StepContext(key=key, actor="tests")


async def _turns_back_over_the_pivot(*story: object) -> Turned:
    store = MemoryStore()
    store.contents = Contents({"saga-saga": story})  # type: ignore[dict-item]  # events
    turn = _activity(store, "turn_back")
    asked = TurnBack(because="intervention", reason="", run="run-1", pivot="Place", over_pivot=True)
    turned: Turned = await turn(asked, _context("journal:turned-back", attempt=1))
    return turned


async def _cancels(*story: object) -> Cancelled:
    store = MemoryStore()
    store.contents = Contents({"saga-saga": story})  # type: ignore[dict-item]  # events
    cancel = _activity(store, "request_cancellation")
    asked = RequestCancellation(requested=WISH, pivot="Place")
    cancelled: Cancelled = await cancel(asked, _context("journal:cancelled"))
    return cancelled


def test_an_end_that_comes_just_before_its_attempt_is_over_is_the_end() -> None:
    """The last step of the attempt before lands while the next one shuts its doors."""
    world = World()
    world.put(Contents({"saga-saga": (STARTED, PLACED, APPROVED)}), Ledger())

    def lands(deeds: int) -> None:
        if deeds == 1:
            done = replace(PLACED, step="Confirm")
            streams = {"saga-saga": (*world.store.contents.streams["saga-saga"], done, ENDED)}
            world.store.contents = Contents(streams, world.store.contents.fence)

    begun: Begun
    arguments = [SECOND, _context("journal:started")]
    begun, _ = world.run("BeginSaga", arguments, between=lands)
    assert begun.ended == ENDED
    assert SECOND not in world.store.contents.streams["saga-saga"]
    assert any(key[3] == OVER for key in world.store.contents.fence)


async def test_a_cancellation_that_was_accepted_is_kept_by_the_attempts_that_follow() -> None:
    """The workflow is terminated between its yes and its way back."""
    store = MemoryStore()
    store.contents = Contents({"saga-saga": (STARTED, replace(WISH, attempt=1))})
    begin = _activity(store, "begin")
    begun: Begun = await begin(SECOND, _context("journal:started"))
    [left] = begun.lefts
    assert (left.turned_back, left.because) == ("compensated", "cancelled")
    assert left.reason == WISH.reason


async def test_what_has_ended_is_not_cancelled_by_an_attempt_that_only_reports_it() -> None:
    cancelled = await _cancels(STARTED, PLACED, APPROVED, ENDED)
    assert cancelled == Cancelled(accepted=False, said="it has ended")


@pytest.mark.parametrize("passed", [(PLACED, APPROVED), (PLACED,)])
async def test_an_attempt_that_goes_on_behind_the_pivot_of_another_is_not_cancelled(
    passed: tuple[object, ...],
) -> None:
    cancelled = await _cancels(STARTED, *passed, SECOND)
    said = "Place was asked already: after that there is no way back"
    assert cancelled == Cancelled(accepted=False, said=said)


async def test_an_attempt_that_only_clears_up_is_not_cancelled() -> None:
    cancelled = await _cancels(STARTED, REFUSED, SECOND)
    assert cancelled == Cancelled(accepted=False, said="it is being taken back already")


async def test_an_attempt_that_follows_one_before_its_pivot_is_cancelled() -> None:
    done = StepDone(saga="saga", attempt=1, step="Reserve", outcome="Taken")
    assert await _cancels(STARTED, done, SECOND) == Cancelled(accepted=True)


async def test_a_pivot_in_doubt_that_was_done_is_taken_back_where_a_person_says_so() -> None:
    assert not (await _turns_back_over_the_pivot(STARTED, PLACED, APPROVED)).crossed


async def test_what_has_gone_on_behind_its_pivot_is_not_taken_back_by_a_run_that_forgot_it() -> (
    None
):
    """Temporal reset the workflow, and asked for the pivot again it heard nothing."""
    confirmed = replace(PLACED, step="Confirm")
    assert (await _turns_back_over_the_pivot(STARTED, PLACED, APPROVED, confirmed)).crossed
    assert (await _turns_back_over_the_pivot(STARTED, PLACED, APPROVED, ENDED)).crossed

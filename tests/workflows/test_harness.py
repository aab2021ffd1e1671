"""The harness sees what it is there to see: an engine that is wrong makes it fail."""

from __future__ import annotations

from typing import Any

import pytest

import workflows.saga
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.failures import FAILURES
from tests.workflows.harness.trial import PATIENT, SOON, a_trial, undisturbed
from tests.workflows.steps import all_others_have_ended
from tests.world import World
from workflows.saga import SagaRun

SAGA = "Checkout"


def takes_back_the_oldest_first(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(workflows.saga, "reversed", iter, raising=False)


def forgets_what_is_unknown(patched: pytest.MonkeyPatch) -> None:
    ask = SagaRun._ask

    async def forgetting(self: SagaRun, step: Any) -> Any:
        turned, undo = await ask(self, step)
        return turned, undo and not (turned and turned.because == "unknown")

    patched.setattr(SagaRun, "_ask", forgetting)


def does_not_look_at_cancellations(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(SagaRun, "_cancelled", lambda _: None)


@pytest.mark.parametrize(
    ("mistake", "failure", "step"),
    [
        (takes_back_the_oldest_first, "is_refused", "CapturePayment"),
        (forgets_what_is_unknown, "always_loses_its_answer", "AuthoriseDownPayment"),
        (does_not_look_at_cancellations, "is_cancelled_at_it", "AuthoriseDownPayment"),
    ],
)
async def test_a_mistake_in_the_engine_makes_the_harness_fail(
    world: World, monkeypatch: pytest.MonkeyPatch, mistake: Any, failure: str, step: str
) -> None:
    await all_others_have_ended()
    told, place = FAILURES[failure], world.elsewhere()
    limit = SOON if told.impatient else PATIENT
    async with place.at_work():
        kept = await undisturbed(place, SAGA, CASES[SAGA])
        trial = await a_trial(
            place, SAGA, CASES[SAGA], "local", kept, deadline=limit, patience=limit
        )
        with monkeypatch.context() as patched:
            mistake(patched)
            with pytest.raises(AssertionError):
                await told.story(trial, step)

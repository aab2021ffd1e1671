"""The harness sees what it is there to see: an engine that is wrong makes it fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import handrail.sagas.rollback
import handrail.sagas.rollback_plan
from handrail.sagas.definition import Saga, Step
from handrail.sagas.recovery import Standing
from handrail.sagas.rollback_plan import WayBack, way_back
from handrail.testing.failures import FAILURES
from handrail.testing.trial import a_trial, undisturbed
from tests.workflows.harness.cases import CASES
from tests.workflows.steps import all_others_have_ended
from tests.world import World

SAGA = "Checkout"


def takes_back_the_oldest_first(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(handrail.sagas.rollback, "reversed", iter, raising=False)


def forgets_what_is_unknown(patched: pytest.MonkeyPatch) -> None:
    may_stand = handrail.sagas.rollback_plan._may_stand

    def forgetting(step: Step, standing: Standing) -> bool:
        return step.name not in standing.unknown and may_stand(step, standing)

    patched.setattr(handrail.sagas.rollback_plan, "_may_stand", forgetting)


def takes_back_all_but_the_newest(patched: pytest.MonkeyPatch) -> None:
    def without_the_newest(saga: Saga, standing: Standing) -> WayBack:
        way = way_back(saga, standing)
        return replace(way, groups=way.groups[:-1])

    patched.setattr(handrail.sagas.rollback, "way_back", without_the_newest)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("mistake", "failure", "step"),
    [
        (takes_back_the_oldest_first, "is_refused", "CapturePayment"),
        (forgets_what_is_unknown, "always_loses_its_answer", "AuthoriseDownPayment"),
        (takes_back_all_but_the_newest, "is_cancelled_at_it", "AuthoriseDownPayment"),
    ],
)
async def test_a_mistake_in_the_engine_makes_the_harness_fail(
    world: World, monkeypatch: pytest.MonkeyPatch, mistake: Any, failure: str, step: str
) -> None:
    await all_others_have_ended()
    told, place = FAILURES[failure], world.elsewhere()
    async with place.at_work():
        kept = await undisturbed(place, CASES[SAGA])
        trial = await a_trial(
            place, CASES[SAGA], "local", kept, deadline=told.deadline, patience=told.patience
        )
        with monkeypatch.context() as patched:
            mistake(patched)
            with pytest.raises(AssertionError):
                await told.story(trial, step)

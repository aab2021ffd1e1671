"""Ways in which a compensation can go wrong: the pivot is refused, so that each has to run."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail.sagas.events import SagaParked, SagaResumed, StepCompensated
from handrail.testing.trial import Trial


async def refusal_of(update: Awaitable[None]) -> str:
    """The kind of refusal that the validator answers."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await update
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type or ""


def _turns_back(trial: Trial) -> None:
    trial.refuses(trial.subject.saga.pivot_step.name)


async def is_cancelled_during_its_undo(trial: Trial, step: str) -> None:
    _turns_back(trial)
    held = trial.is_held(step, "undo")
    await trial.starts()
    await held.reached()
    await trial.is_cancelled_by_temporal(times=2)
    assert await refusal_of(trial.is_cancelled_by_the_requester()) == "TooLate"
    held.open()
    await trial.ends_as("refused", "Unwilling")


async def is_terminated_during_its_undo(trial: Trial, step: str) -> None:
    """Attempt 2 finishes the way back, and does not set out again."""
    _turns_back(trial)
    held = trial.is_held(step, "undo")
    await trial.starts()
    await held.reached()
    await trial.is_terminated()
    trial.recovers(step, "undo")
    await trial.is_started_again()
    await trial.ends_as("refused", "Unwilling")
    held.open()
    await held.landed()
    await trial.ends_as("refused", "Unwilling")


async def its_undo_fails_once(trial: Trial, step: str) -> None:
    _turns_back(trial)
    fault = trial.fails(step, "undo", tries=1)
    await trial.starts()
    await trial.ends_as("refused", "Unwilling")
    assert fault.tries >= 2


async def its_undo_loses_its_answer_once(trial: Trial, step: str) -> None:
    _turns_back(trial)
    fault = trial.loses_the_answer(step, "undo", tries=1)
    await trial.starts()
    found = await trial.ends_as("refused", "Unwilling")
    assert fault.tries >= 2
    assert len(found.told(StepCompensated, step)) == 1


async def its_undo_is_delivered_twice(trial: Trial, step: str) -> None:
    _turns_back(trial)
    fault = trial.is_delivered_twice(step, "undo")
    await trial.starts()
    found = await trial.ends_as("refused", "Unwilling")
    assert fault.tries >= 1
    assert len(found.told(StepCompensated, step)) == 1


async def its_undo_never_works(trial: Trial, step: str) -> None:
    _turns_back(trial)
    trial.fails(step, "undo")
    await trial.starts()
    await trial.parks(step)
    assert await refusal_of(trial.is_told("compensate", step)) == "TooLate"
    trial.recovers(step, "undo")
    await trial.is_told("retry", step)
    found = await trial.ends_as("refused", "Unwilling")
    [parked] = found.told(SagaParked)
    assert (parked.step, parked.direction) == (step, "undo")


async def its_undo_is_resolved_by_hand(trial: Trial, step: str) -> None:
    """It took effect, and never could say so."""
    _turns_back(trial)
    trial.loses_the_answer(step, "undo")
    await trial.starts()
    await trial.parks(step)
    await trial.is_told("resolve", step)
    found = await trial.ends_as("refused", "Unwilling")
    [resumed] = found.told(SagaResumed)
    assert (resumed.kind, resumed.evidence, resumed.actor) == ("resolve", "ticket 7", "operator")

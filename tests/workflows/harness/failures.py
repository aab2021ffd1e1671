"""Every way in which a step can go wrong: for any saga, at any of its steps.

Each failure is told as a story. It asserts that the named step really failed, and ends with what
the stores say. `Trial.ends_as` holds the clean slate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail.sagas.events import (
    CancelRequested,
    SagaParked,
    SagaResumed,
    StepAnswered,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from handrail.sagas.options import Cancellation
from tests.workflows.harness.trial import Trial
from tests.workflows.knocking import ACCEPTED, knocks

Role = Literal["promise", "answered", "pivot", "duty"]
Story = Callable[[Trial, str], Awaitable[None]]


@dataclass(frozen=True)
class Failure:
    """`at` are the kinds of steps it can happen to; `impatient` where a step has to be given up."""

    story: Story
    at: tuple[Role, ...]
    impatient: bool = False


ANYWHERE: Final[tuple[Role, ...]] = ("promise", "pivot", "duty")
REFUSABLE: Final[tuple[Role, ...]] = ("promise", "pivot")
LATER: Final[tuple[Role, ...]] = ("pivot", "duty")


# Anywhere.


async def fails_once(trial: Trial, step: str) -> None:
    fault = trial.fails(step, tries=1)
    await trial.starts()
    await trial.ends_as("completed")
    assert fault.tries >= 2


async def loses_its_answer_once(trial: Trial, step: str) -> None:
    fault = trial.loses_the_answer(step, tries=1)
    await trial.starts()
    found = await trial.ends_as("completed")
    assert fault.tries >= 2
    assert len(found.told(StepDone, step)) == 1


async def is_delivered_twice(trial: Trial, step: str) -> None:
    fault = trial.is_delivered_twice(step)
    await trial.starts()
    found = await trial.ends_as("completed")
    assert fault.tries >= 1  # a busy machine may give a try up, and make another one
    assert len(found.told(StepDone, step)) == 1


async def is_terminated_at_it(trial: Trial, step: str) -> None:
    """The workflow is gone; attempt 2 clears up, and what lands late is refused."""
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    await trial.is_terminated()
    trial.recovers(step)
    await trial.is_started_again()
    await trial.ends_as("completed")
    late = await held.landed()
    assert all(getattr(one, "type", one) == "StepClosed" for one in late), late
    found = await trial.ends_as("completed")
    assert found.fence[1, step, "do"].closed


async def is_refused(trial: Trial, step: str) -> None:
    trial.refuses(step)
    await trial.starts()
    found = await trial.ends_as("refused", "Unwilling")
    assert [one.step for one in found.told(StepRefused)] == [step]
    assert step not in found.undone


# Promises.


async def breaks_a_rule(trial: Trial, step: str) -> None:
    trial.breaks_a_rule(step)
    await trial.starts()
    found = await trial.ends_as("compensated", "failed")
    assert [one.step for one in found.told(StepFailed)] == [step]
    assert step not in found.undone


async def fails_until_its_deadline(trial: Trial, step: str) -> None:
    trial.fails(step)
    await trial.starts()
    found = await trial.ends_as("compensated", "unknown")
    assert [one.step for one in found.told(StepUnknown)] == [step]
    assert not found.fence[1, step, "do"].answered


async def always_loses_its_answer(trial: Trial, step: str) -> None:
    trial.loses_the_answer(step)
    await trial.starts()
    found = await trial.ends_as("compensated", "unknown")
    assert [one.step for one in found.told(StepUnknown)] == [step]
    assert found.fence[1, step, "do"].answered
    assert step in found.undone


async def lands_after_its_undo(trial: Trial, step: str) -> None:
    held = trial.is_held(step)
    await trial.starts()
    await trial.ends_as("compensated", "unknown")
    late = await held.landed()
    assert late
    assert all(getattr(one, "type", one) == "StepClosed" for one in late), late
    found = await trial.ends_as("compensated", "unknown")
    assert found.told(StepDone, step) == []


async def is_cancelled_at_it(trial: Trial, step: str) -> None:
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    await trial.is_cancelled_by_the_customer()
    held.open()
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["customer"]
    assert step in found.undone


async def is_cancelled_by_temporal_at_it(trial: Trial, step: str) -> None:
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    await trial.is_cancelled_by_temporal(times=2)
    held.open()
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["temporal"]


async def is_cancelled_twice_at_it(trial: Trial, step: str) -> None:
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    await trial.is_cancelled_by_the_customer()
    await trial.is_cancelled_by_temporal(times=2)
    await trial.is_cancelled_by_the_customer()
    held.open()
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["customer"]


# Promises that a person answers.


async def is_declined(trial: Trial, step: str) -> None:
    trial.officer_says = "no"
    await trial.starts()
    found = await trial.ends_as("refused", "Declined")
    [answered] = found.told(StepAnswered)
    assert (answered.step, answered.approved, answered.actor) == (step, False, "officer")
    assert step in found.undone


async def is_cancelled_while_it_waits(trial: Trial, step: str) -> None:
    trial.officer_says = "nothing"
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    await trial.is_cancelled_by_the_customer()
    found = await trial.ends_as("compensated", "cancelled")
    assert found.told(StepAnswered) == []
    assert step in found.undone


async def is_terminated_while_it_waits(trial: Trial, step: str) -> None:
    """Attempt 2 asks anew."""
    trial.officer_says = "nothing"
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    await trial.is_terminated()
    await trial.is_started_again()
    await trial.tells("AnswerAwaited", step, times=2)
    await trial.hears(approved=True, step=step)
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(StepAnswered)] == [2]


# Their compensations: the pivot is refused, so that every promise has to be taken back.


def _turns_back(trial: Trial) -> None:
    trial.refuses(trial.subject.saga.deciding.name)


async def is_cancelled_during_its_undo(trial: Trial, step: str) -> None:
    _turns_back(trial)
    held = trial.is_held(step, "undo")
    await trial.starts()
    await held.reached()
    await trial.is_cancelled_by_temporal(times=2)
    assert await _is_refused(trial.is_cancelled_by_the_customer()) == "TooLate"
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
    assert await _is_refused(trial.is_told("compensate", step)) == "TooLate"
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


# The pivot and what follows it.


async def fails_until_patience_is_over(trial: Trial, step: str) -> None:
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert [one.step for one in found.told(SagaParked)] == [step]
    assert [one.kind for one in found.told(SagaResumed)] == ["retry"]


async def loses_its_answer_until_patience_is_over(trial: Trial, step: str) -> None:
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert len(found.told(StepDone, step)) == 1


async def lands_while_it_is_parked(trial: Trial, step: str) -> None:
    held = trial.is_held(step)
    await trial.starts()
    await trial.parks(step)
    await held.landed()
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert len(found.told(StepDone, step)) == 1


async def is_too_late_to_cancel(trial: Trial, step: str) -> None:
    """But for a pivot whose task was lost before it took effect: a busy machine may do that."""
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    cancellation = await knocks(trial, "cancel", Cancellation(actor="customer", reason="no more"))
    heard = await cancellation
    await trial.is_cancelled_by_temporal()
    held.open()
    await trial.ends()
    ended = (await trial.evidence()).ended
    found = await trial.ends_as(ended.ending)
    wished = [one.actor for one in found.told(CancelRequested)]
    if ended.ending == "completed":
        assert (heard, wished) == ("TooLate", [])
        return
    assert step == trial.subject.saga.deciding.name
    assert await trial.has_lost_a_task()
    assert wished == ["customer" if heard == ACCEPTED else "temporal"]
    assert all(getattr(late, "type", late) == "StepClosed" for late in await held.landed())
    await trial.ends_as("compensated", "cancelled")


async def is_done_by_hand(trial: Trial, step: str) -> None:
    """It took effect, and never could say so."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    await trial.is_told("resolve", step)
    found = await trial.ends_as("completed")
    [resumed] = found.told(SagaResumed)
    assert (resumed.kind, resumed.evidence, resumed.actor) == ("resolve", "ticket 7", "operator")
    assert found.fence[1, step, "do"].closed


async def is_skipped(trial: Trial, step: str) -> None:
    """It took effect, and never could say so: to skip it is to believe that."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    await trial.is_told("skip", step)
    found = await trial.ends_as("completed")
    assert [one.kind for one in found.told(SagaResumed)] == ["skip"]
    assert found.fence[1, step, "do"].closed


async def is_refused_and_asked_anew(trial: Trial, step: str) -> None:
    trial.refuses(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert found.fence[1, f"{step}~2", "do"].answered


async def is_taken_back_by_an_operator(trial: Trial, step: str) -> None:
    """The pivot took effect, and nobody knows: where a compensation shuts it, it can go back."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    if trial.subject.saga.shuts_pivot:
        await trial.is_told("compensate", step)
        await trial.ends_as("compensated", "intervention")
        return
    assert await _is_refused(trial.is_told("compensate", step)) == "NotPossible"
    trial.recovers(step)
    await trial.is_told("retry", step)
    await trial.ends_as("completed")


async def certainly_did_not_happen(trial: Trial, step: str) -> None:
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    await trial.is_told("resolve", step, happened=False)
    await trial.ends_as("compensated", "intervention")


async def is_corrected(trial: Trial, step: str) -> None:
    """Asked with what is wrong, it never works; asked with what is right, it does."""
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    asked = await trial.parked_command(step)
    trial.recovers(step)
    assert await _is_refused(trial.is_told("correct", step, correction=asked)) == "WrongCorrection"
    corrected = trial.case.corrections[step](asked)
    await trial.is_told("correct", step, correction=corrected)
    found = await trial.ends_as("completed")
    [resumed] = found.told(SagaResumed)
    assert resumed.kind == "correct"
    assert resumed.correction != ""
    assert found.fence[1, step, "do"].closed
    assert found.fence[1, f"{step}~2", "do"].answered


async def _is_refused(update: Awaitable[None]) -> str:
    """The kind of refusal that the validator answers."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await update
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type or ""


FAILURES: Final[Mapping[str, Failure]] = {
    failure.story.__name__: failure
    for failure in (
        Failure(fails_once, ANYWHERE),
        Failure(loses_its_answer_once, ANYWHERE),
        Failure(is_delivered_twice, ANYWHERE),
        Failure(is_terminated_at_it, ANYWHERE),
        Failure(is_refused, REFUSABLE),
        Failure(breaks_a_rule, ("promise",)),
        Failure(fails_until_its_deadline, ("promise",), impatient=True),
        Failure(always_loses_its_answer, ("promise",), impatient=True),
        Failure(lands_after_its_undo, ("promise",), impatient=True),
        Failure(is_cancelled_at_it, ("promise",)),
        Failure(is_cancelled_by_temporal_at_it, ("promise",)),
        Failure(is_cancelled_twice_at_it, ("promise",)),
        Failure(is_declined, ("answered",)),
        Failure(is_cancelled_while_it_waits, ("answered",)),
        Failure(is_terminated_while_it_waits, ("answered",)),
        Failure(is_cancelled_during_its_undo, ("promise",)),
        Failure(is_terminated_during_its_undo, ("promise",)),
        Failure(its_undo_fails_once, ("promise",)),
        Failure(its_undo_loses_its_answer_once, ("promise",)),
        Failure(its_undo_is_delivered_twice, ("promise",)),
        Failure(its_undo_never_works, ("promise",), impatient=True),
        Failure(its_undo_is_resolved_by_hand, ("promise",), impatient=True),
        Failure(fails_until_patience_is_over, LATER, impatient=True),
        Failure(loses_its_answer_until_patience_is_over, LATER, impatient=True),
        Failure(lands_while_it_is_parked, LATER, impatient=True),
        Failure(is_too_late_to_cancel, LATER),
        Failure(is_done_by_hand, LATER, impatient=True),
        Failure(is_skipped, ("duty",), impatient=True),
        Failure(is_refused_and_asked_anew, ("duty",)),
        Failure(is_taken_back_by_an_operator, ("pivot",), impatient=True),
        Failure(certainly_did_not_happen, ("pivot",), impatient=True),
        Failure(is_corrected, LATER, impatient=True),
    )
}

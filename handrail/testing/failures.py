"""Every way in which a step can go wrong: for any saga, at any of its steps.

Each failure is told as a story. It asserts that the named step really failed, and ends with what
the stores say. `Trial.ends_as` holds the clean slate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from handrail.kernel import Attribution
from handrail.sagas.definition import Saga
from handrail.sagas.events import (
    CancelRequested,
    Ending,
    SagaParked,
    SagaResumed,
    StepAnswered,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from handrail.testing.clean_slate import is_taken_back
from handrail.testing.compensation_failures import (
    is_cancelled_during_its_undo,
    is_terminated_during_its_undo,
    its_undo_fails_once,
    its_undo_is_delivered_twice,
    its_undo_is_resolved_by_hand,
    its_undo_loses_its_answer_once,
    its_undo_never_works,
    refusal_of,
)
from handrail.testing.failure import (
    AFTER_PATIENCE,
    AT_DEADLINE,
    COMPENSATED,
    CORRECTABLE,
    FAILURE_COMPENSATES,
    FAILURE_PARKS,
    GIVEN_UP_SOON,
    LEAVES_SOMETHING,
    REFUSABLE_INPUT,
    REFUSED,
    RETRIED,
    UNKNOWN_COMPENSATES,
    UNKNOWN_PARKS,
    Failure,
    Role,
)
from handrail.testing.trial import Trial
from handrail.testing.updates import ACCEPTED, knocks

ANYWHERE: Final[tuple[Role, ...]] = ("compensatable", "pivot", "retriable")
REFUSABLE: Final[tuple[Role, ...]] = ("compensatable", "pivot")
LATER: Final[tuple[Role, ...]] = ("pivot", "retriable")


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


async def is_refused_for_what_it_asks(trial: Trial, step: str) -> None:
    """By the business or by another company, which store and answer what they always do."""
    trial.is_asked_for_instead(step, trial.case.refusals[step])
    await trial.starts()
    found = await trial.ends_as("refused")
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
    assert is_taken_back(trial.subject, found, step)


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
    await trial.is_cancelled_by_the_requester()
    held.open()
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["requester"]
    assert is_taken_back(trial.subject, found, step)


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
    await trial.is_cancelled_by_the_requester()
    await trial.is_cancelled_by_temporal(times=2)
    await trial.is_cancelled_by_the_requester()
    held.open()
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["requester"]


# Promises that park.


async def is_unknown_and_tried_again(trial: Trial, step: str) -> None:
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert len(found.told(StepDone, step)) == 1


async def is_unknown_and_taken_back(trial: Trial, step: str) -> None:
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    await trial.is_told("compensate", step)
    found = await trial.ends_as("compensated", "intervention")
    assert is_taken_back(trial.subject, found, step)


async def breaks_a_rule_and_is_tried_again(trial: Trial, step: str) -> None:
    trial.breaks_a_rule(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)
    found = await trial.ends_as("completed")
    assert [one.step for one in found.told(SagaParked)] == [step]


# Promises that a person answers.


async def is_declined(trial: Trial, step: str) -> None:
    trial.is_answered_with(step, "no")
    await trial.starts()
    found = await trial.ends_as("refused", "Declined")
    [answered] = found.told(StepAnswered, step)
    assert (answered.approved, answered.actor) == (False, "approver")
    assert is_taken_back(trial.subject, found, step)


async def is_cancelled_while_it_waits(trial: Trial, step: str) -> None:
    trial.is_answered_with(step, "nothing")
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    await trial.is_cancelled_by_the_requester()
    found = await trial.ends_as("compensated", "cancelled")
    assert found.told(StepAnswered, step) == []
    assert is_taken_back(trial.subject, found, step)


async def is_terminated_while_it_waits(trial: Trial, step: str) -> None:
    """Attempt 2 asks anew."""
    trial.is_answered_with(step, "nothing")
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    await trial.is_terminated()
    await trial.is_started_again()
    await trial.tells("AnswerAwaited", step, times=2)
    await trial.hears(approved=True, step=step)
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(StepAnswered, step)] == [2]


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
    cancellation = await knocks(trial, "cancel", Attribution(actor="requester", reason="no more"))
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
    assert step == trial.subject.saga.pivot_step.name
    assert await trial.has_lost_a_task()
    assert wished == ["requester" if heard == ACCEPTED else "temporal"]
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
    if trial.subject.saga.can_void_pivot:
        await trial.is_told("compensate", step)
        await trial.ends_as("compensated", "intervention")
        return
    assert await refusal_of(trial.is_told("compensate", step)) == "NotPossible"
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
    assert await refusal_of(trial.is_told("correct", step, correction=asked)) == "WrongCorrection"
    corrected = trial.case.corrections[step](asked)
    await trial.is_told("correct", step, correction=corrected)
    found = await trial.ends_as("completed")
    [resumed] = found.told(SagaResumed)
    assert resumed.kind == "correct"
    assert resumed.correction != ""
    assert found.fence[1, step, "do"].closed
    assert found.fence[1, f"{step}~2", "do"].answered


def _if_the_pivot_can_be_shut(saga: Saga, _step: str, _variant: None) -> tuple[Ending, ...]:
    return ("compensated",) if saga.can_void_pivot else ("completed",)


def _unless_the_pivot_was_lost(saga: Saga, step: str, _variant: None) -> tuple[Ending, ...]:
    return ("completed", "compensated") if step == saga.pivot_step.name else ("completed",)


_PROMISE: Final[tuple[Role, ...]] = ("compensatable",)
_AWAITING: Final[tuple[Role, ...]] = ("awaiting",)
_PIVOT: Final[tuple[Role, ...]] = ("pivot",)
_RETRIABLE: Final[tuple[Role, ...]] = ("retriable",)
_UNKNOWN: Final = (GIVEN_UP_SOON, UNKNOWN_COMPENSATES)
_PARKS: Final = (GIVEN_UP_SOON, UNKNOWN_PARKS)
_UNDONE: Final = (LEAVES_SOMETHING,)
_SOON: Final = (GIVEN_UP_SOON,)

FAILURES: Final[Mapping[str, Failure]] = {
    failure.name: failure
    for failure in (
        Failure(fails_once, ANYWHERE, needs=(RETRIED,)),
        Failure(loses_its_answer_once, ANYWHERE, needs=(RETRIED,)),
        Failure(is_delivered_twice, ANYWHERE),
        Failure(is_terminated_at_it, ANYWHERE),
        Failure(is_refused, REFUSABLE, REFUSED),
        Failure(is_refused_for_what_it_asks, REFUSABLE, REFUSED, (REFUSABLE_INPUT,)),
        Failure(breaks_a_rule, _PROMISE, COMPENSATED, (FAILURE_COMPENSATES,)),
        Failure(fails_until_its_deadline, _PROMISE, COMPENSATED, _UNKNOWN, AT_DEADLINE),
        Failure(always_loses_its_answer, _PROMISE, COMPENSATED, _UNKNOWN, AT_DEADLINE),
        Failure(lands_after_its_undo, _PROMISE, COMPENSATED, _UNKNOWN, AT_DEADLINE),
        Failure(is_cancelled_at_it, _PROMISE, COMPENSATED, (RETRIED,)),
        Failure(is_cancelled_by_temporal_at_it, _PROMISE, COMPENSATED, (RETRIED,)),
        Failure(is_cancelled_twice_at_it, _PROMISE, COMPENSATED, (RETRIED,)),
        Failure(is_declined, _AWAITING, REFUSED),
        Failure(is_cancelled_while_it_waits, _AWAITING, COMPENSATED),
        Failure(is_terminated_while_it_waits, _AWAITING),
        Failure(is_cancelled_during_its_undo, _PROMISE, REFUSED, _UNDONE),
        Failure(is_terminated_during_its_undo, _PROMISE, REFUSED, _UNDONE),
        Failure(its_undo_fails_once, _PROMISE, REFUSED, _UNDONE),
        Failure(its_undo_loses_its_answer_once, _PROMISE, REFUSED, _UNDONE),
        Failure(its_undo_is_delivered_twice, _PROMISE, REFUSED, _UNDONE),
        Failure(its_undo_never_works, _PROMISE, REFUSED, _UNDONE, AFTER_PATIENCE),
        Failure(its_undo_is_resolved_by_hand, _PROMISE, REFUSED, _UNDONE, AFTER_PATIENCE),
        Failure(fails_until_patience_is_over, LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(
            loses_its_answer_until_patience_is_over, LATER, needs=_SOON, gives_up=AFTER_PATIENCE
        ),
        Failure(lands_while_it_is_parked, LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(is_too_late_to_cancel, LATER, _unless_the_pivot_was_lost, (RETRIED,)),
        Failure(is_done_by_hand, LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(is_skipped, _RETRIABLE, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(is_refused_and_asked_anew, _RETRIABLE),
        Failure(
            is_taken_back_by_an_operator, _PIVOT, _if_the_pivot_can_be_shut, _SOON, AFTER_PATIENCE
        ),
        Failure(certainly_did_not_happen, _PIVOT, COMPENSATED, _SOON, AFTER_PATIENCE),
        Failure(is_corrected, LATER, needs=(CORRECTABLE, GIVEN_UP_SOON), gives_up=AFTER_PATIENCE),
        Failure(is_unknown_and_tried_again, _PROMISE, needs=_PARKS, gives_up=AT_DEADLINE),
        Failure(is_unknown_and_taken_back, _PROMISE, COMPENSATED, _PARKS, AT_DEADLINE),
        Failure(breaks_a_rule_and_is_tried_again, _PROMISE, needs=(FAILURE_PARKS,)),
    )
}

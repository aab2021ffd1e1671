"""A workflow task is lost after each commit, and something comes before the code runs again.

What was committed is in the stores, and nothing of it in Temporal's history. So what came meanwhile
is seen *before* it: the stores have to say what becomes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from temporalio.client import WorkflowExecutionStatus

from handrail.kernel import Attribution
from handrail.sagas.definition import Saga
from handrail.sagas.events import (
    CancelRequested,
    Ending,
    SagaDecided,
    SagaParked,
    SagaResumed,
    StepAnswered,
)
from handrail.sagas.options import Intervention, InterventionKind, Verdict
from handrail.testing.failure import (
    AFTER_PATIENCE,
    COMPENSATED,
    GIVEN_UP_SOON,
    LEAVES_SOMETHING,
    REFUSED,
    RETRIED,
    Failure,
    Role,
    roles_of,
)
from handrail.testing.faults import Loss
from handrail.testing.running_saga import ONE_TASK
from handrail.testing.saga_case import Case
from handrail.testing.trial import Trial
from handrail.testing.updates import ACCEPTED, is_reset, knocks

Meanwhile = Literal["nothing", "requester", "temporal", "reset", "person"]

A_WHILE: Final = timedelta(seconds=10)
"""A task that is to be lost is not over before: Temporal's clients hand it in at four fifths."""

REQUESTER: Final = Attribution(actor="requester", reason="changed my mind")


@dataclass
class Heard:
    """What became of what came meanwhile; None where nobody waits for an answer."""

    answer: asyncio.Task[str] | None = None

    async def as_(self, *expected: str) -> str:
        if self.answer is None:
            return ""
        heard = await self.answer
        assert heard in expected, f"{heard}, and not {expected}"
        return heard


async def loses(
    trial: Trial, loss: Loss, meanwhile: Meanwhile, *, update: tuple[str, object] | None = None
) -> Heard:
    """Once it is committed, the task is lost; what comes meanwhile is there before the next one.

    `update` is what a person sends.
    """
    await loss.committed()
    heard = Heard()
    match meanwhile:
        case "requester":
            heard.answer = await knocks(trial, "cancel", REQUESTER)
        case "temporal":
            await trial.handle.cancel()
        case "reset":
            await is_reset(trial)
            trial.approvers_begin_again()
        case "person":
            assert update is not None
            name, told = update
            arguments = (told, None) if isinstance(told, Intervention) else (told,)
            heard.answer = await knocks(trial, name, *arguments)
        case "nothing":
            pass
    loss.strikes()
    return heard


# A step.


async def is_lost_after_it(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """Before the pivot a cancellation takes everything back, after it there is no way back."""
    loss = trial.loses_its_task_at(step)
    is_ahead = step in {one.name for group in trial.subject.saga.groups for one in group}
    await trial.starts()
    heard = await loses(trial, loss, meanwhile)
    await heard.as_(ACCEPTED if is_ahead else "TooLate")
    if is_ahead and meanwhile in {"requester", "temporal"}:
        found = await trial.ends_as("compensated", "cancelled")
        assert [one.actor for one in found.told(CancelRequested)] == [meanwhile]
    else:
        found = await trial.ends_as("completed")
        assert found.told(CancelRequested) == []
    assert len(found.told(SagaDecided)) == 1


async def is_lost_after_its_undo(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    trial.refuses(trial.subject.saga.pivot_step.name)
    loss = trial.loses_its_task_at(step, "undo")
    await trial.starts()
    await _is_over(trial, await loses(trial, loss, meanwhile), meanwhile)


async def _is_over(trial: Trial, heard: Heard, meanwhile: Meanwhile) -> None:
    """The pivot refused it, whatever came; what is reset leaves it to another attempt."""
    await heard.as_("TooLate")
    if meanwhile == "reset":
        assert await trial.ends() == WorkflowExecutionStatus.FAILED
        await trial.is_started_again()
    found = await trial.ends_as("refused", "Unwilling")
    assert found.told(CancelRequested) == []
    assert not any(one.approved for one in found.told(SagaDecided))


# A record.


async def is_lost_once_it_began(trial: Trial, _: str, meanwhile: Meanwhile) -> None:
    loss = trial.loses_its_task_at("journal:started")
    await trial.starts()
    heard = await loses(trial, loss, meanwhile)
    await heard.as_(ACCEPTED)
    if meanwhile in {"requester", "temporal"}:
        found = await trial.ends_as("compensated", "cancelled")
        assert [one.actor for one in found.told(CancelRequested)] == [meanwhile]
    else:
        await trial.ends_as("completed")


async def is_lost_once_it_turned_back(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    trial.refuses(step)
    loss = trial.loses_its_task_at("journal:turned-back")
    await trial.starts()
    await _is_over(trial, await loses(trial, loss, meanwhile), meanwhile)


async def is_lost_once_it_ended(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    trial.refuses(step)
    loss = trial.loses_its_task_at("journal:ended")
    await trial.starts()
    heard = await loses(trial, loss, meanwhile)
    await heard.as_("TooLate")
    status = await trial.ends()
    assert (status == WorkflowExecutionStatus.FAILED) == (meanwhile == "reset")
    found = await trial.evidence()
    assert (found.ended.ending, found.ended.because) == ("refused", "Unwilling")
    assert found.after == found.before


async def is_lost_once_it_was_cancelled(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """What was accepted stays accepted, also where whoever asked never hears of it."""
    held = trial.is_held(step)
    loss = trial.loses_its_task_at("journal:cancelled")
    await trial.starts()
    await held.reached()
    first = await knocks(trial, "cancel", REQUESTER)
    heard = await loses(trial, loss, meanwhile)
    held.open()
    await heard.as_(ACCEPTED)
    found = await trial.ends_as("compensated", "cancelled")
    assert [one.actor for one in found.told(CancelRequested)] == ["requester"]
    if meanwhile != "reset":  # which takes along whoever waited for an answer
        assert await first == ACCEPTED


async def is_lost_once_it_parked(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """Whether an intervention finds it parked or not, it is done once."""
    trial.fails(step)
    await _loses_what_parked(trial, step, meanwhile)


async def is_lost_once_it_parked_at_once(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """A rule is broken at the first try: all of it is lost, and the next try works."""
    trial.breaks_a_rule(step)
    await _loses_what_parked(trial, step, meanwhile)


async def _loses_what_parked(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    loss = trial.loses_its_task_at(f"journal:parked:{step}:do:1")
    await trial.starts()
    await loss.committed()
    trial.recovers(step)
    retry = _says(trial, "retry", step)
    heard = await loses(trial, loss, meanwhile, update=("intervene", retry))
    by = await heard.as_("TooLate" if meanwhile == "requester" else ACCEPTED, "NotParked")
    if by != ACCEPTED and await _still_waits(trial, step):
        await trial.is_told("retry", step)
    await trial.ends()
    ended = (await trial.evidence()).ended
    if ended.ending != "completed":
        # What Temporal asked for may be seen before the pivot, which certainly did not happen.
        assert (meanwhile, ended.because) == ("temporal", "cancelled")
        assert step == trial.subject.saga.pivot_step.name
    found = await trial.ends_as(ended.ending)
    assert len(found.told(SagaParked)) == 1
    assert len(found.told(SagaResumed)) <= 1


async def _still_waits(trial: Trial, step: str) -> bool:
    """Temporal may know of the tries that failed, or else the step is tried again, and works."""
    ending = asyncio.create_task(trial.ends())
    waiting = asyncio.create_task(trial.waits_at(step))
    await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waits = waiting.done() and not ending.done()
    ending.cancel()
    waiting.cancel()
    await asyncio.gather(ending, waiting, return_exceptions=True)
    return waits


async def is_lost_once_it_was_resumed(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """By the intervention that is in the stream, whatever another person says meanwhile."""
    trial.loses_the_answer(step)
    loss = trial.loses_its_task_at(f"journal:resumed:{step}:do:1")
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    first = await knocks(trial, "intervene", _says(trial, "retry", step), None)
    other = _says(trial, "resolve", step)
    heard = await loses(trial, loss, meanwhile, update=("intervene", other))
    await heard.as_("TooLate" if meanwhile == "requester" else "NotParked")
    found = await trial.ends_as("completed")
    assert [one.kind for one in found.told(SagaResumed)] == ["retry"]
    if meanwhile != "reset":
        assert await first == ACCEPTED


async def is_lost_once_it_was_approved(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    trial.is_answered_with(step, "nothing")
    loss = trial.loses_its_task_at(f"journal:answered:{step}")
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    first = await trial.is_heard(_verdict(trial, step, approved=True))
    heard = await loses(
        trial, loss, meanwhile, update=("answer", _verdict(trial, step, approved=False))
    )
    await heard.as_("NotParked" if meanwhile == "person" else ACCEPTED)
    if meanwhile in {"requester", "temporal"}:
        await trial.ends_as("compensated", "cancelled")
    else:
        found = await trial.ends_as("completed")
        assert [one.approved for one in found.told(StepAnswered, step)] == [True]
    first.cancel()


async def is_lost_once_it_was_declined(trial: Trial, step: str, meanwhile: Meanwhile) -> None:
    """A no stays a no, also for a requester who cancels meanwhile."""
    trial.is_answered_with(step, "nothing")
    loss = trial.loses_its_task_at(f"journal:answered:{step}")
    await trial.starts()
    await trial.tells("AnswerAwaited", step)
    first = await trial.is_heard(_verdict(trial, step, approved=False))
    heard = await loses(
        trial, loss, meanwhile, update=("answer", _verdict(trial, step, approved=True))
    )
    await heard.as_("NotParked" if meanwhile == "person" else "TooLate")
    found = await trial.ends_as("refused", "Declined")
    assert [one.approved for one in found.told(StepAnswered, step)] == [False]
    first.cancel()


async def is_lost_once_the_next_attempt_decided(
    trial: Trial, step: str, meanwhile: Meanwhile
) -> None:
    """Attempt 1 was terminated after its pivot: attempt 2 says so, and goes on."""
    held = trial.is_held(step)
    await trial.starts()
    await held.reached()
    await trial.is_terminated()
    trial.recovers(step)
    loss = trial.loses_its_task_at("journal:decided")
    await trial.is_started_again()
    heard = await loses(trial, loss, meanwhile)
    await heard.as_("TooLate")
    await held.landed()
    found = await trial.ends_as("completed")
    assert all(one.approved for one in found.told(SagaDecided))


def _says(trial: Trial, kind: InterventionKind, step: str) -> Intervention:
    return Intervention(
        id=f"{trial.id}-{kind}",
        kind=kind,
        actor=kind,
        reason="looked into it",
        step=step,
        evidence="ticket 7" if kind in {"skip", "resolve"} else "",
    )


def _verdict(trial: Trial, step: str, *, approved: bool) -> Verdict:
    return Verdict(
        id=f"{trial.id}-{approved}",
        approved=approved,
        actor="approver",
        reason="looked into it",
        step=step,
    )


def _if_cancelled(_saga: Saga, _step: str, meanwhile: Meanwhile) -> tuple[Ending, ...]:
    return ("compensated",) if meanwhile in {"requester", "temporal"} else ("completed",)


def _if_cancelled_ahead(saga: Saga, step: str, meanwhile: Meanwhile) -> tuple[Ending, ...]:
    is_ahead = step in roles_of(saga)["compensatable"]
    return _if_cancelled(saga, step, meanwhile) if is_ahead else ("completed",)


def _unless_seen_before_the_pivot(
    saga: Saga, step: str, meanwhile: Meanwhile
) -> tuple[Ending, ...]:
    is_pivot = step == saga.pivot_step.name
    races = is_pivot and meanwhile == "temporal"
    return ("completed", "compensated") if races else ("completed",)


_BY_TEMPORAL: Final[tuple[Meanwhile, ...]] = ("nothing", "requester", "temporal", "reset")
_BY_A_PERSON: Final[tuple[Meanwhile, ...]] = ("nothing", "requester", "temporal", "person")
_LATER: Final[tuple[Role, ...]] = ("pivot", "retriable")


@dataclass(frozen=True)
class Lost(Failure):
    """`meanwhile` is what comes before the code runs again."""

    meanwhile: tuple[Meanwhile, ...] = _BY_TEMPORAL
    task: timedelta = field(default=A_WHILE, kw_only=True)

    def variants(self, case: Case, step: str) -> Sequence[Meanwhile]:  # noqa: ARG002  # of all
        return self.meanwhile


LOST: Final[Mapping[str, Lost]] = {
    lost.name: lost
    for lost in (
        Lost(
            is_lost_after_it,
            ("compensatable", "pivot", "retriable"),
            _if_cancelled_ahead,
            (RETRIED,),
        ),
        Lost(is_lost_after_its_undo, ("compensatable",), REFUSED, (LEAVES_SOMETHING,)),
        Lost(is_lost_once_it_began, ("pivot",), _if_cancelled),
        Lost(is_lost_once_it_turned_back, ("pivot",), REFUSED),
        Lost(is_lost_once_it_ended, ("pivot",), REFUSED),
        # An update that comes while a task runs is heard once that is handed in.
        Lost(
            is_lost_once_it_was_cancelled,
            ("compensatable",),
            COMPENSATED,
            (RETRIED,),
            task=ONE_TASK,
        ),
        Lost(
            is_lost_once_it_parked,
            _LATER,
            _unless_seen_before_the_pivot,
            (GIVEN_UP_SOON,),
            gives_up=AFTER_PATIENCE,
            meanwhile=_BY_A_PERSON,
            task=ONE_TASK,
        ),
        Lost(
            is_lost_once_it_parked_at_once,
            _LATER,
            _unless_seen_before_the_pivot,
            meanwhile=_BY_A_PERSON,
        ),
        Lost(
            is_lost_once_it_was_resumed,
            _LATER,
            needs=(GIVEN_UP_SOON,),
            gives_up=AFTER_PATIENCE,
            meanwhile=_BY_A_PERSON,
            task=ONE_TASK,
        ),
        Lost(is_lost_once_it_was_approved, ("awaiting",), _if_cancelled, meanwhile=_BY_A_PERSON),
        Lost(is_lost_once_it_was_declined, ("awaiting",), REFUSED, meanwhile=_BY_A_PERSON),
        Lost(is_lost_once_the_next_attempt_decided, ("retriable",)),
    )
}

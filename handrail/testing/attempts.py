"""Attempt after attempt is terminated, and the last one is left alone: nothing of any is left over.

Each story is told with so many attempts. What was held when its workflow was terminated lands late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.definition import Saga
from handrail.sagas.events import Direction, Ending, SagaEnded, SagaStarted, StepDone
from handrail.testing.clean_slate import assert_companies_agree
from handrail.testing.evidence import anonymous
from handrail.testing.failure import (
    AFTER_PATIENCE,
    COMPENSATED,
    GIVEN_UP_SOON,
    LEAVES_SOMETHING,
    REFUSED,
    SHUTS_PIVOT,
    Failure,
    Role,
)
from handrail.testing.faults import Gate
from handrail.testing.lost_tasks import A_WHILE
from handrail.testing.running_saga import ONE_TASK
from handrail.testing.saga_case import Case
from handrail.testing.trial import Trial


@dataclass(frozen=True)
class Held:
    gate: Gate
    direction: Direction


async def is_terminated_at(trial: Trial, step: str, direction: Direction = "do") -> Held:
    """The attempt that runs, just before the effect of the step or the record."""
    gate = trial.fault(step, direction).gate
    assert gate is not None
    await gate.reached()
    await trial.is_terminated()
    trial.recovers(step, direction)
    return Held(gate, direction)


async def is_terminated_after(trial: Trial, step: str, direction: Direction = "do") -> None:
    """The attempt that runs, once the step or the record is committed."""
    loss = trial.fault(step, direction).loss
    assert loss is not None
    await loss.committed()
    await trial.is_terminated()
    loss.strikes()
    trial.recovers(step, direction)


async def land(held: list[Held]) -> None:
    """What lands late finds its attempt over, a step and a record alike; a beginning that nobody
    followed may find the saga completed.

    A compensation has one key, whoever asks for it: it is answered as the one that was first.
    """
    for one in held:
        for late in await one.gate.landed():
            if one.direction == "do":
                is_closed = getattr(late, "type", late) == "StepClosed"
                assert is_closed or getattr(late, "ended", None), late
            else:
                assert getattr(late, "status", late) == "done", late


# While they set out.


async def are_terminated_at_it(trial: Trial, step: str, attempts: int) -> None:
    held = []
    for _ in range(attempts - 1):
        trial.is_held(step)
        await trial.starts()
        held.append(await is_terminated_at(trial, step))
        trial.attempt += 1
    await trial.starts()
    await trial.ends_as("completed")
    await land(held)
    found = await trial.ends_as("completed")
    assert found.told(StepDone, step)[-1].attempt == found.told(StepDone)[-1].attempt


async def are_terminated_after_it(trial: Trial, step: str, attempts: int) -> None:
    """It is done, and nobody has heard so."""
    for _ in range(attempts - 1):
        trial.loses_its_task_at(step)
        await trial.starts()
        await is_terminated_after(trial, step)
        trial.attempt += 1
    await trial.starts()
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(StepDone, step)] == list(range(1, attempts + 1))


async def is_terminated_after_it_was_done_for_good(trial: Trial, step: str, attempts: int) -> None:
    """From the pivot on nothing is done twice."""
    trial.loses_its_task_at(step)
    await trial.starts()
    await is_terminated_after(trial, step)
    await trial.is_started_again()
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(StepDone, step)] == [1]


# While they clear up.


async def are_terminated_while_they_clear_up(trial: Trial, step: str, attempts: int) -> None:
    """The first is terminated at its pivot, the others just before they take the step back."""
    pivot = trial.subject.saga.pivot_step.name
    trial.is_held(pivot)
    await trial.starts()
    held = [await is_terminated_at(trial, pivot)]
    for _ in range(attempts - 2):
        trial.is_held(step, "undo")
        await trial.is_started_again()
        held.append(await is_terminated_at(trial, step, "undo"))
    await trial.is_started_again()
    await trial.ends_as("completed")
    await land(held)
    await trial.ends_as("completed")


async def are_terminated_after_they_cleared_up(trial: Trial, step: str, attempts: int) -> None:
    """The step is taken back, and the attempt gone, before anything else is."""
    pivot = trial.subject.saga.pivot_step.name
    trial.is_held(pivot)
    await trial.starts()
    held = [await is_terminated_at(trial, pivot)]
    for number in range(attempts - 2):
        if number == 0:
            trial.loses_its_task_at(step, "undo")
            await trial.is_started_again()
            await is_terminated_after(trial, step, "undo")
            continue
        trial.is_held("journal:started")
        await trial.is_started_again()
        held.append(await is_terminated_at(trial, "journal:started"))
    await trial.is_started_again()
    await trial.ends_as("completed")
    await land(held)
    await trial.ends_as("completed")


async def are_terminated_on_their_way_back(trial: Trial, step: str, attempts: int) -> None:
    """The pivot refused the first: what it turned back stays turned back, however often."""
    trial.refuses(trial.subject.saga.pivot_step.name)
    held = []
    for _ in range(attempts - 1):
        trial.is_held(step, "undo")
        await trial.starts()
        held.append(await is_terminated_at(trial, step, "undo"))
        trial.attempt += 1
    await trial.starts()
    await trial.ends_as("refused", "Unwilling")
    await land(held)
    await trial.ends_as("refused", "Unwilling")


# At what they tell.


async def are_terminated_at_their_beginning(trial: Trial, step: str, attempts: int) -> None:
    """The first has done the step; those that follow are gone before, or after, they are told."""
    trial.loses_its_task_at(step)
    await trial.starts()
    await is_terminated_after(trial, step)
    held = []
    for number in range(attempts - 2):
        if number % 2:
            trial.loses_its_task_at("journal:started")
            await trial.is_started_again()
            await is_terminated_after(trial, "journal:started")
        else:
            trial.is_held("journal:started")
            await trial.is_started_again()
            held.append(await is_terminated_at(trial, "journal:started"))
    await trial.is_started_again()
    await trial.ends_as("completed")
    await land(held)
    await trial.ends_as("completed")


async def are_terminated_as_they_turn_back(trial: Trial, step: str, attempts: int) -> None:
    """The pivot has refused the first, just before it tells that it turns back: those that follow
    only finish that, and are gone after they tell so, or before they have ended.
    """
    trial.refuses(trial.subject.saga.pivot_step.name)
    held = []
    trial.is_held("journal:turned-back")
    await trial.starts()
    held.append(await is_terminated_at(trial, "journal:turned-back"))
    if attempts > 2:
        trial.loses_its_task_at("journal:decided")
        await trial.is_started_again()
        await is_terminated_after(trial, "journal:decided")
    for _ in range(attempts - 3):
        trial.is_held("journal:ended")
        await trial.is_started_again()
        held.append(await is_terminated_at(trial, "journal:ended"))
    await trial.is_started_again()
    await trial.ends_as("refused", "Unwilling")
    await land(held)
    await trial.ends_as("refused", "Unwilling")


async def are_terminated_as_they_decide(trial: Trial, step: str, attempts: int) -> None:
    """The pivot was done in the first: those that follow say so, and are gone."""
    trial.is_held(step)
    await trial.starts()
    held = [await is_terminated_at(trial, step)]
    for number in range(attempts - 2):
        if number % 2:
            trial.loses_its_task_at("journal:decided")
            await trial.is_started_again()
            await is_terminated_after(trial, "journal:decided")
        else:
            trial.is_held("journal:decided")
            await trial.is_started_again()
            held.append(await is_terminated_at(trial, "journal:decided"))
    await trial.is_started_again()
    await trial.ends_as("completed")
    await land(held)
    await trial.ends_as("completed")


# That never ran, and that had ended.


async def never_run_between(trial: Trial, step: str, attempts: int) -> None:
    """Terminated before anybody worked on them: their numbers are missing in the stream."""
    trial.is_held(step)
    await trial.starts()
    held = [await is_terminated_at(trial, step)]
    for _ in range(attempts - 2):
        await trial.is_begun_where_nobody_works()
    await trial.is_started_again()
    await trial.ends_as("completed")
    await land(held)
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(SagaStarted)] == [1, attempts]


async def never_run_at_first(trial: Trial, step: str, attempts: int) -> None:
    trial.attempt = 0
    for _ in range(attempts - 1):
        await trial.is_begun_where_nobody_works()
    await trial.is_started_again()
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(SagaStarted)] == [attempts]


async def are_terminated_after_the_end_was_told(trial: Trial, step: str, attempts: int) -> None:
    """What has completed is not done anew: each attempt only reports it."""
    telling = _what_tells_the_end(trial)
    trial.loses_its_task_at(telling)
    await trial.starts()
    await is_terminated_after(trial, telling)
    for _ in range(attempts - 2):
        await trial.is_started_again()
        await trial.ends_as("completed")
    await trial.is_started_again()
    found = await trial.ends_as("completed")
    assert [one.attempt for one in found.told(SagaStarted)] == [1]


def _what_tells_the_end(trial: Trial) -> str:
    """The last step; of several side by side nobody knows which is the last."""
    saga = trial.subject.saga
    last = saga.retriable_groups[-1] if saga.retriable_groups else (saga.pivot_step,)
    return last[0].name if len(last) == 1 else "journal:ended"


async def are_terminated_after_they_told_a_refusal(trial: Trial, step: str, attempts: int) -> None:
    """Where a saga may be begun anew it is refused again, and nothing is left of any."""
    trial.refuses(trial.subject.saga.pivot_step.name)
    for number in range(attempts - 1):
        if trial.subject.saga.repeats == "never" and number:
            break
        trial.loses_its_task_at("journal:ended")
        await trial.starts()
        await is_terminated_after(trial, "journal:ended")
        trial.attempt += 1
    await trial.starts()
    await trial.ends()
    found = await trial.evidence()
    ends = [(one.attempt, one.ending) for one in found.told(SagaEnded)]
    repeated = range(1, attempts + 1) if trial.subject.saga.repeats != "never" else range(1, 2)
    assert ends == [(number, "refused") for number in repeated]
    assert found.after == found.before
    assert_companies_agree(found)


async def begin_anew_after_a_refusal(trial: Trial, step: str, attempts: int) -> None:
    """What was refused and taken back has ended: the next attempt has nothing to clear up."""
    saga = trial.subject.saga
    trial.refuses(step)
    for _ in range(attempts - 1):
        await trial.starts()
        await trial.ends()
        trial.attempt += 1
    trial.recovers(step)
    await trial.starts()
    await trial.ends()
    found = await trial.evidence()
    ends = [one.ending for one in found.told(SagaEnded)]
    assert_companies_agree(found)
    if saga.repeats == "never":
        assert ends == ["refused"]
        assert found.after == found.before
    else:
        assert ends == [*["refused"] * (attempts - 1), "completed"]
        assert anonymous(found.after, trial.subject.names) == trial.kept


async def are_begun_twice(trial: Trial, step: str, attempts: int) -> None:
    """The number of an attempt that stopped belongs to the run that began it."""
    held = []
    for _ in range(attempts - 1):
        trial.is_held(step)
        await trial.starts()
        held.append(await is_terminated_at(trial, step))
        await trial.starts()
        assert await trial.ends() == WorkflowExecutionStatus.FAILED
        trial.attempt += 1
    await trial.starts()
    await trial.ends_as("completed")
    await land(held)


async def are_terminated_as_an_operator_takes_it_back(
    trial: Trial, step: str, attempts: int
) -> None:
    """The pivot was told as done, and a person had it taken back: the last decision counts."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    steps = [step.name for group in reversed(trial.subject.saga.groups) for step in group]
    undone = next(step for step in steps if step not in trial.case.changes_nothing)
    trial.is_held(undone, "undo")
    await trial.is_told("compensate", step)
    held = [await is_terminated_at(trial, undone, "undo")]
    for _ in range(attempts - 2):
        trial.is_held(undone, "undo")
        await trial.is_started_again()
        held.append(await is_terminated_at(trial, undone, "undo"))
    await trial.is_started_again()
    await trial.ends_as("compensated", "intervention")
    await land(held)


def _if_it_repeats(saga: Saga, _step: str, _attempts: int) -> tuple[Ending, ...]:
    return ("refused",) if saga.repeats == "never" else ("completed",)


@dataclass(frozen=True)
class Attempts(Failure):
    """With so many attempts at least and at most."""

    least: int = 2
    most: int = 4

    def variants(self, case: Case, step: str) -> Sequence[int]:  # noqa: ARG002  # of all
        return range(self.least, self.most + 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", ONE_TASK if self.gives_up else A_WHILE)


_FORWARD: Final[tuple[Role, ...]] = ("compensatable", "pivot")
_PROMISE: Final[tuple[Role, ...]] = ("compensatable",)
_PIVOT: Final[tuple[Role, ...]] = ("pivot",)
_UNDONE: Final = (LEAVES_SOMETHING,)

ATTEMPTS: Final[Mapping[str, Attempts]] = {
    told.name: told
    for told in (
        Attempts(are_terminated_at_it, (*_FORWARD, "retriable")),
        Attempts(are_terminated_after_it, _PROMISE),
        Attempts(is_terminated_after_it_was_done_for_good, ("pivot", "retriable"), most=2),
        Attempts(are_terminated_while_they_clear_up, _PROMISE, needs=_UNDONE, least=3),
        Attempts(are_terminated_after_they_cleared_up, _PROMISE, needs=_UNDONE, least=3),
        Attempts(are_terminated_on_their_way_back, _PROMISE, REFUSED, _UNDONE),
        Attempts(are_terminated_at_their_beginning, _FORWARD, least=3),
        Attempts(are_terminated_as_they_turn_back, _PIVOT, REFUSED),
        Attempts(are_terminated_as_they_decide, ("retriable",), least=3),
        Attempts(never_run_between, _FORWARD, least=3),
        Attempts(never_run_at_first, _PIVOT),
        Attempts(are_terminated_after_the_end_was_told, _PIVOT),
        Attempts(are_terminated_after_they_told_a_refusal, _PIVOT, REFUSED),
        Attempts(begin_anew_after_a_refusal, _PIVOT, _if_it_repeats),
        Attempts(are_begun_twice, _PIVOT),
        Attempts(
            are_terminated_as_an_operator_takes_it_back,
            _PIVOT,
            COMPENSATED,
            (SHUTS_PIVOT, GIVEN_UP_SOON),
            gives_up=AFTER_PATIENCE,
        ),
    )
}

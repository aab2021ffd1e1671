"""Two failures: a step turns the saga back, and on the way back a compensation goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handrail.sagas.definition import Saga
from handrail.sagas.events import Ending, SagaParked, StepCompensated
from handrail.testing.failure import (
    AFTER_PATIENCE,
    AT_DEADLINE,
    GIVEN_UP_SOON,
    REFUSED,
    RETRIED,
    UNKNOWN_COMPENSATES,
    Failure,
    Role,
)
from handrail.testing.saga_case import Case
from handrail.testing.trial import Trial


async def refused_then_its_undo_fails_once(trial: Trial, first: str, undone: str) -> None:
    trial.refuses(first)
    fault = trial.fails(undone, "undo", tries=1)
    await trial.starts()
    await trial.ends_as("refused", "Unwilling")
    assert fault.tries >= 2


async def refused_then_its_undo_never_works(trial: Trial, first: str, undone: str) -> None:
    trial.refuses(first)
    trial.fails(undone, "undo")
    await trial.starts()
    await trial.parks(undone)
    trial.recovers(undone, "undo")
    await trial.is_told("retry", undone)
    found = await trial.ends_as("refused", "Unwilling")
    assert [one.step for one in found.told(SagaParked)] == [undone]


async def unknown_then_its_undo_loses_its_answer(trial: Trial, first: str, undone: str) -> None:
    """What turned it back may have happened; where that is the pivot, an operator takes it back."""
    trial.loses_the_answer(first)
    fault = trial.loses_the_answer(undone, "undo", tries=1)
    await trial.starts()
    because = "unknown"
    if first == trial.subject.saga.pivot_step.name:
        if not trial.subject.saga.can_void_pivot:
            trial.recovers(undone, "undo")
            await _goes_on(trial, first)
            return
        await trial.parks(first)
        await trial.is_told("compensate", first)
        because = "intervention"
    found = await trial.ends_as("compensated", because)
    assert fault.tries >= 2
    assert len(found.told(StepCompensated, undone)) == 1


async def cancelled_then_terminated_on_the_way_back(trial: Trial, first: str, undone: str) -> None:
    """A third thing goes wrong, too: attempt 2 finishes what the requester wished."""
    refused = first == trial.subject.saga.pivot_step.name
    if refused:
        trial.refuses(first)
    held = None if refused else trial.is_held(first)
    undoing = trial.is_held(undone, "undo")
    await trial.starts()
    if held:
        await held.reached()
        await trial.is_cancelled_by_the_requester()
        held.open()
    await undoing.reached()
    await trial.is_terminated()
    trial.recovers(undone, "undo")
    await trial.is_started_again()
    ending: Ending = "refused" if refused else "compensated"
    await trial.ends_as(ending)
    await undoing.landed()
    await trial.ends_as(ending, "Unwilling" if refused else "cancelled")


async def _goes_on(trial: Trial, pivot: str) -> None:
    await trial.parks(pivot)
    trial.recovers(pivot)
    await trial.is_told("retry", pivot)
    await trial.ends_as("completed")


def _as_the_pivot_can_be_shut(saga: Saga, first: str, _undone: str) -> tuple[Ending, ...]:
    goes_on = first == saga.pivot_step.name and not saga.can_void_pivot
    return ("completed",) if goes_on else ("compensated",)


def _as_wished_or_refused(saga: Saga, first: str, _undone: str) -> tuple[Ending, ...]:
    return ("refused",) if first == saga.pivot_step.name else ("compensated",)


@dataclass(frozen=True)
class Pair(Failure):
    """What turns the saga back at its step, and goes wrong with the compensation of another."""

    at: tuple[Role, ...] = ("compensatable", "pivot")

    def variants(self, case: Case, step: str) -> Sequence[str]:
        """The steps before it, whose compensations run once it turns the saga back."""
        before: list[str] = []
        for group in case.saga.groups:
            names = [one.name for one in group]
            if step in names:
                break
            before += names
        return [name for name in before if name not in case.changes_nothing]


PAIRS: Final[Mapping[str, Pair]] = {
    pair.name: pair
    for pair in (
        Pair(refused_then_its_undo_fails_once, endings=REFUSED),
        Pair(refused_then_its_undo_never_works, endings=REFUSED, gives_up=AFTER_PATIENCE),
        Pair(
            unknown_then_its_undo_loses_its_answer,
            endings=_as_the_pivot_can_be_shut,
            needs=(GIVEN_UP_SOON, UNKNOWN_COMPENSATES),
            gives_up=AT_DEADLINE | AFTER_PATIENCE,
        ),
        Pair(
            cancelled_then_terminated_on_the_way_back,
            endings=_as_wished_or_refused,
            needs=(RETRIED,),
        ),
    )
}

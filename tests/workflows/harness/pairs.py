"""Two failures: a step turns the saga back, and on the way back a compensation goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from handrail.sagas.events import Ending, SagaParked, StepCompensated
from tests.workflows.harness.trial import Trial

Story = Callable[[Trial, str, str], Awaitable[None]]


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
    if first == trial.subject.saga.deciding.name:
        if not trial.subject.saga.shuts_pivot:
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
    """A third thing goes wrong, too: attempt 2 finishes what the customer wished."""
    refused = first == trial.subject.saga.deciding.name
    if refused:
        trial.refuses(first)
    held = None if refused else trial.is_held(first)
    undoing = trial.is_held(undone, "undo")
    await trial.starts()
    if held:
        await held.reached()
        await trial.is_cancelled_by_the_customer()
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


@dataclass(frozen=True)
class Pair:
    """`impatient` where a step has to be given up."""

    story: Story
    impatient: bool = False


PAIRS: Final[Mapping[str, Pair]] = {
    pair.story.__name__: pair
    for pair in (
        Pair(refused_then_its_undo_fails_once),
        Pair(refused_then_its_undo_never_works, impatient=True),
        Pair(unknown_then_its_undo_loses_its_answer, impatient=True),
        Pair(cancelled_then_terminated_on_the_way_back),
    )
}

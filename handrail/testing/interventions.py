"""People who speak at once: of two interventions the first stands, and each is told.

Who was accepted is in the stream, and who was not is told so: never both, and never none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from handrail.sagas.definition import Saga
from handrail.sagas.events import Ending, SagaParked, SagaResumed
from handrail.sagas.options import Intervention, InterventionKind
from handrail.testing.failure import (
    AFTER_PATIENCE,
    BESIDE,
    GIVEN_UP_SOON,
    LEAVES_SOMETHING,
    REFUSED,
    Failure,
    Role,
    always,
    names_side_by_side,
)
from handrail.testing.trial import Trial
from handrail.testing.updates import ACCEPTED, ENDED, knocks

BY_HAND: Final[Mapping[Role, InterventionKind]] = {"pivot": "resolve", "retriable": "skip"}


LATE: Final = ("NotParked", ENDED)
"""What is told to whoever comes second: the step goes on already, or the saga has ended."""


def says(
    trial: Trial, kind: InterventionKind, step: str, id_: str = "", *, happened: bool = True
) -> Intervention:
    return Intervention(
        id=f"{trial.id}-{id_ or kind}",
        kind=kind,
        actor="operator",
        reason="looked into it",
        step=step,
        evidence="ticket 7" if kind in {"skip", "resolve"} else "",
        happened=happened,
    )


async def at_once(trial: Trial, *interventions: Intervention) -> list[str]:
    """What became of each."""
    sent = await asyncio.gather(*(knocks(trial, "intervene", one, None) for one in interventions))
    return await asyncio.gather(*sent)


async def the_first_stands(trial: Trial, *interventions: Intervention) -> Intervention:
    """The one that was accepted, which is the only one in the stream."""
    heard = await at_once(trial, *interventions)
    assert heard.count(ACCEPTED) == 1, heard
    assert set(heard) <= {ACCEPTED, *LATE}, heard
    stands = interventions[heard.index(ACCEPTED)]
    told = [one for one in await trial.story() if isinstance(one, SagaResumed)]
    assert [one.intervention for one in told] == [stands.id]
    return stands


async def is_told_twice(trial: Trial, step: str) -> None:
    """The same intervention: who sends it again is told the same, and it is done once."""
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    retry = says(trial, "retry", step)
    heard = await at_once(trial, retry, retry)
    assert ACCEPTED in heard
    assert set(heard) <= {ACCEPTED, ENDED}, heard
    found = await trial.ends_as("completed")
    assert len(found.told(SagaResumed)) == 1


async def is_told_by_two_people(trial: Trial, step: str) -> None:
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await the_first_stands(
        trial, says(trial, "retry", step, "one"), says(trial, "retry", step, "other")
    )
    found = await trial.ends_as("completed")
    assert len(found.told(SagaParked)) == 1


async def is_told_two_kinds(trial: Trial, step: str) -> None:
    """It took effect, and never could say so: to try again and to believe it come to the same."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    is_pivot = step == trial.subject.saga.pivot_step.name
    by_hand = says(trial, BY_HAND["pivot" if is_pivot else "retriable"], step)
    await the_first_stands(trial, by_hand, says(trial, "retry", step))
    await trial.ends_as("completed")


async def is_taken_back_and_tried_again(trial: Trial, step: str) -> None:
    """Two people want the opposite of a pivot: it ends as the one wanted who was accepted."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    retry, compensate = says(trial, "retry", step), says(trial, "compensate", step)
    if not trial.subject.saga.can_void_pivot:
        impossible, tried = await at_once(trial, compensate, retry)
        assert impossible in {"NotPossible", *LATE}
        assert tried == ACCEPTED
        await trial.ends_as("completed")
        return
    stands = await the_first_stands(trial, compensate, retry)
    if stands is retry:
        await trial.ends_as("completed")
    else:
        await trial.ends_as("compensated", "intervention")


async def is_denied_and_tried_again(trial: Trial, step: str) -> None:
    """One knows that the pivot certainly did not happen, the other has it tried again."""
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    denied = says(trial, "resolve", step, happened=False)
    retry = says(trial, "retry", step)
    stands = await the_first_stands(trial, retry, denied)
    if stands is retry:
        await trial.ends_as("completed")
    else:
        await trial.ends_as("compensated", "intervention")


async def is_denied_although_it_happened(trial: Trial, step: str) -> None:
    """Our own books say that the pivot was done: who says otherwise is refused."""
    trial.loses_the_answer(step)
    await trial.starts()
    await trial.parks(step)
    denied = says(trial, "resolve", step, happened=False)
    assert await at_once(trial, denied) == ["NotPossible"]
    trial.recovers(step)
    assert await at_once(trial, says(trial, "retry", step)) == [ACCEPTED]
    await trial.ends_as("completed")


async def its_undo_is_told_two_kinds(trial: Trial, step: str) -> None:
    trial.refuses(trial.subject.saga.pivot_step.name)
    trial.loses_the_answer(step, "undo")
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step, "undo")
    await the_first_stands(trial, says(trial, "retry", step), says(trial, "skip", step))
    await trial.ends_as("refused", "Unwilling")


# Side by side.


async def two_wait_side_by_side(trial: Trial, step: str) -> None:
    """Each goes on by what is said of it; what names neither is for none of them."""
    other = beside(trial, step)
    for one in (step, other):
        trial.loses_the_answer(one)
    await trial.starts()
    for one in (step, other):
        await trial.parks(one)
    for one in (step, other):
        trial.recovers(one)
    unnamed = says(trial, "retry", "", "unnamed")
    assert await at_once(trial, unnamed) == ["NotParked"]
    told = (
        says(trial, "retry", step, "retry-one"),
        says(trial, "skip", other, "skip-other"),
        says(trial, "skip", step, "skip-one"),
        says(trial, "retry", other, "retry-other"),
    )
    heard = await at_once(trial, *told)
    assert heard.count(ACCEPTED) == 2, heard
    assert set(heard) <= {ACCEPTED, *LATE}, heard
    found = await trial.ends_as("completed")
    stand = [one for one, what in zip(told, heard, strict=True) if what == ACCEPTED]
    assert {one.step for one in stand} == {step, other}
    resumed = [one.intervention for one in found.told(SagaResumed)]
    assert sorted(resumed) == sorted(one.id for one in stand)


async def two_undos_wait_side_by_side(trial: Trial, step: str) -> None:
    other = beside(trial, step)
    trial.refuses(trial.subject.saga.pivot_step.name)
    for one in (step, other):
        trial.loses_the_answer(one, "undo")
    await trial.starts()
    for one in (step, other):
        await trial.parks(one)
    for one in (step, other):
        trial.recovers(one, "undo")
    told = (says(trial, "retry", step, "one"), says(trial, "skip", other, "other"))
    assert await at_once(trial, *told) == [ACCEPTED, ACCEPTED]
    found = await trial.ends_as("refused", "Unwilling")
    assert {(one.step, one.kind) for one in found.told(SagaResumed)} == {
        (step, "retry"),
        (other, "skip"),
    }


def beside(trial: Trial, step: str) -> str:
    """The step after it among those that run side by side, in turn."""
    saga = trial.subject.saga
    groups = names_side_by_side(saga)
    [group] = [names for names in groups if step in names]
    return group[(group.index(step) + 1) % len(group)]


def _the_first_stands(saga: Saga, _step: str, _variant: None) -> tuple[Ending, ...]:
    return ("completed", "compensated") if saga.can_void_pivot else ("completed",)


_LATER: Final[tuple[Role, ...]] = ("pivot", "retriable")
_SOON: Final = (GIVEN_UP_SOON,)
_UNDONE: Final = (LEAVES_SOMETHING,)

CROSSED: Final[Mapping[str, Failure]] = {
    told.name: told
    for told in (
        Failure(is_told_twice, _LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(is_told_by_two_people, _LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(is_told_two_kinds, _LATER, needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(
            is_taken_back_and_tried_again,
            ("pivot",),
            _the_first_stands,
            _SOON,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(
            is_denied_and_tried_again,
            ("pivot",),
            always("completed", "compensated"),
            _SOON,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(is_denied_although_it_happened, ("pivot",), needs=_SOON, gives_up=AFTER_PATIENCE),
        Failure(
            its_undo_is_told_two_kinds,
            ("compensatable",),
            REFUSED,
            _UNDONE,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(
            two_wait_side_by_side, ("retriable",), needs=(BESIDE, *_SOON), gives_up=AFTER_PATIENCE
        ),
        Failure(
            two_undos_wait_side_by_side,
            ("compensatable",),
            REFUSED,
            (BESIDE, *_UNDONE),
            gives_up=AFTER_PATIENCE,
        ),
    )
}

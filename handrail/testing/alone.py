"""Another company has done a step, and our own books never hear of it: the database was away.

Whoever turns back, and every later attempt, has the company let go of it, under each key it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from handrail.sagas.events import SagaParked, StepUnknown
from handrail.testing.failure import (
    AFTER_PATIENCE,
    ASKS_OUTSIDE,
    AT_DEADLINE,
    COMPENSATED,
    CORRECTABLE,
    GIVEN_UP_SOON,
    REFUSED,
    UNKNOWN_COMPENSATES,
    Failure,
)
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.trial import Trial


async def _is_done_alone(trial: Trial, alone: asyncio.Event, step: str) -> None:
    async with asyncio.timeout(A_LONG_TIME):
        await alone.wait()
    await trial.is_terminated()
    trial.recovers(step)


async def is_asked_again_by_the_next_attempt(trial: Trial, step: str) -> None:
    """What it asks for is done once."""
    alone = trial.is_done_by_the_company_alone(step)
    await trial.starts()
    await _is_done_alone(trial, alone, step)
    await trial.is_started_again()
    await trial.ends_as("completed")


async def is_not_asked_again(trial: Trial, step: str) -> None:
    """The next attempt is refused before, or does not ask the company: it holds nothing then."""
    alone = trial.is_done_by_the_company_alone(step)
    await trial.starts()
    await _is_done_alone(trial, alone, step)
    groups = trial.subject.saga.groups
    trial.refuses(groups[0][0].name if groups else step)
    await trial.is_started_again()
    await trial.ends_as("refused", "Unwilling")


async def is_corrected_and_asked_again(trial: Trial, step: str) -> None:
    """It was done under its second key."""
    await _is_corrected_and_done_alone(trial, step)
    await trial.is_started_again()
    await trial.ends_as("completed")


async def is_corrected_and_not_asked_again(trial: Trial, step: str) -> None:
    await _is_corrected_and_done_alone(trial, step)
    trial.refuses(step)
    await trial.is_started_again()
    await trial.ends_as("refused", "Unwilling")


async def _is_corrected_and_done_alone(trial: Trial, step: str) -> None:
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    asked = await trial.parked_command(step)
    trial.recovers(step)
    alone = trial.is_done_by_the_company_alone(step)
    await trial.is_told("correct", step, correction=trial.case.corrections[step](asked))
    await _is_done_alone(trial, alone, step)


async def is_in_doubt_before_it_certainly_fails(trial: Trial, step: str) -> None:
    """What was in doubt once stays in doubt: the company is asked to let go of it."""
    trial.is_done_by_the_company_alone(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    trial.breaks_a_rule(step)
    await trial.is_told("retry", step)
    await trial.parks(step, times=2)
    await trial.is_told("compensate", step)
    found = await trial.ends_as("compensated", "intervention")
    assert len(found.told(SagaParked, step)) == 2


async def is_unknown_and_its_undo_is_terminated(trial: Trial, step: str) -> None:
    """What the first attempt did not know, the second takes back."""
    trial.is_done_by_the_company_alone(step)
    undoing = trial.is_held(step, "undo")
    await trial.starts()
    await undoing.reached()
    await trial.is_terminated()
    for direction in ("do", "undo"):
        trial.recovers(step, direction)
    await trial.is_started_again()
    found = await trial.ends_as("compensated", "unknown")
    assert [one.step for one in found.told(StepUnknown)] == [step]
    await undoing.landed()


_GIVEN_UP: Final = (ASKS_OUTSIDE, GIVEN_UP_SOON)
_CORRECTED: Final = (ASKS_OUTSIDE, CORRECTABLE, GIVEN_UP_SOON)
_UNDONE: Final = (ASKS_OUTSIDE, GIVEN_UP_SOON, UNKNOWN_COMPENSATES)

ALONE: Final[Mapping[str, Failure]] = {
    told.name: told
    for told in (
        Failure(
            is_asked_again_by_the_next_attempt,
            ("compensatable", "pivot", "retriable"),
            needs=(ASKS_OUTSIDE,),
        ),
        Failure(is_not_asked_again, ("compensatable", "pivot"), REFUSED, (ASKS_OUTSIDE,)),
        Failure(
            is_corrected_and_asked_again,
            ("pivot", "retriable"),
            needs=_CORRECTED,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(
            is_corrected_and_not_asked_again,
            ("pivot",),
            REFUSED,
            _CORRECTED,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(
            is_in_doubt_before_it_certainly_fails,
            ("pivot",),
            COMPENSATED,
            _GIVEN_UP,
            gives_up=AFTER_PATIENCE,
        ),
        Failure(
            is_unknown_and_its_undo_is_terminated,
            ("compensatable",),
            COMPENSATED,
            _UNDONE,
            gives_up=AT_DEADLINE,
        ),
    )
}

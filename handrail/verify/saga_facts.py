"""What others need to know of a saga: its type, how it ended, and what a person answers for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from handrail.kernel import Event
from handrail.sagas.events import (
    CompensationStarted,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
)


@dataclass(frozen=True)
class SagaFacts:
    """`ending` is None while it runs; the last attempt counts. `documented` are the steps that a
    person has skipped or resolved, and said on what evidence.
    """

    saga_type: str = ""
    ending: str | None = None
    documented: frozenset[str] = frozenset()


def facts_of(events: Iterable[Event]) -> SagaFacts:
    found = SagaFacts()
    for event in events:
        match event:
            case SagaStarted(saga_type=saga_type):
                found = replace(found, saga_type=saga_type, ending=None)
            case SagaEnded(ending=ending):
                found = replace(found, ending=ending)
            case SagaResumed() if is_documented(event):
                found = replace(found, documented=found.documented | {event.step})
            case _:
                pass
    return found


def is_documented(event: SagaResumed) -> bool:
    """Whether a person says that it was done, or need not be, and on what evidence."""
    is_by_hand = event.kind in {"skip", "resolve"} and bool(event.evidence)
    return is_by_hand and not certainly_not_done(event)


def certainly_not_done(event: SagaResumed) -> bool:
    """Whether a person found out that the step did not happen. Older events do not say so."""
    return event.kind == "resolve" and not event.happened


def parked_steps(events: Iterable[Event]) -> set[str]:
    """The steps of the last attempt that wait for an operator."""
    found = set[str]()
    for event in events:
        match event:
            case SagaParked(step=step):
                found.add(step)
            case SagaResumed(step=step):
                found.discard(step)
            case SagaStarted() | CompensationStarted() | SagaEnded():
                found.clear()
            case _:
                pass
    return found

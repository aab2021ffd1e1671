"""What others need to know of a saga: its type, how it ended, and what a person answers for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from domain.kernel import Event
from domain.sagas.events import (
    CompensationStarted,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
)

CHECKOUT: Final = "Checkout"


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
    return event.kind in {"skip", "resolve"} and bool(event.evidence)


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

"""What an attempt at a saga left behind, read from the saga's own stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from domain.sagas.events import (
    Ending,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
)


@dataclass(frozen=True, kw_only=True)
class Left:
    """What an attempt that stopped before its end left to the next one.

    `done` are steps that took effect and stand, `not_done` those that certainly have none; of any
    other step nobody knows. `asked_anew` counts for each step the keys it had beside the first.
    `turned_back` is how the attempt would have ended, where it was on its way back.
    """

    attempt: int
    opened_on: date
    done: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    asked_anew: Mapping[str, int]
    approved: bool = False
    turned_back: Ending | None = None
    because: str = ""
    reason: str = ""

    def later_asks(self) -> Iterator[tuple[str, int]]:
        """Of the keys that a step had beside its first, the step and the number of the key."""
        for step, anew in self.asked_anew.items():
            yield from ((step, 1 + more) for more in range(1, anew + 1))


def left_by(attempt: int, story: Sequence[SagaEvent]) -> Left | None:
    """What `attempt` left, or None where it never began, or came to its end."""
    told = [event for event in story if event.attempt == attempt]
    started = next((event for event in told if isinstance(event, SagaStarted)), None)
    if started is None or any(isinstance(event, SagaEnded) for event in told):
        return None
    by_hand = {
        (event.step, event.direction)
        for event in told
        if isinstance(event, SagaResumed) and event.kind in {"skip", "resolve"}
    }
    undone = {event.step for event in told if isinstance(event, StepCompensated)}
    undone |= {step for step, direction in by_hand if direction == "undo"}
    no = {event.step for event in told if isinstance(event, StepRefused | StepFailed)}
    done = {event.step for event in told if isinstance(event, StepDone)}
    done |= {step for step, direction in by_hand if direction == "do"}
    decided = next((event for event in told if isinstance(event, SagaDecided)), None)
    against = decided is not None and not decided.approved
    refused = any(isinstance(event, StepRefused) for event in told)
    return Left(
        attempt=attempt,
        opened_on=started.opened_on or date.min,
        done=tuple(sorted(done - undone)),
        not_done=tuple(sorted(undone | (no - done))),
        asked_anew=Counter(
            event.step
            for event in told
            if isinstance(event, SagaResumed) and event.direction == "do"
        ),
        approved=decided is not None and decided.approved,
        turned_back=("refused" if refused else "compensated") if against else None,
        because=decided.because if decided else "",
        reason=decided.reason if decided else "",
    )

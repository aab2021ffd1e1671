"""What a saga's own stream says: how each step of an attempt stands, and what attempts left behind.

Recovery, cancellation and rollback fold the stream with these functions, in the activity that
appends to it at the version it has read. What a workflow remembers decides none of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from handrail.sagas.events import (
    CancelRequested,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the steps of one attempt stand.

    `passed` are those that took effect, or were done by hand, taken back since or not; of these,
    `unchanged` found nothing left to do. `not_done` are those that certainly have no effect:
    refused, failed, taken back, or known by a person not to have happened. Of any other step only
    the fence knows: closed without an answer, it did nothing in our own books, and may have reached
    another company. `unknown` are those of which the saga said that it does not know, and `denied`
    those of which a person said that they did not happen. `asked_anew` counts for each step the
    keys it had beside the first.
    """

    passed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    asked_anew: Mapping[str, int] = field(default_factory=dict)

    def keys_of(self, step: str) -> tuple[str, ...]:
        """Every name under which the step was asked."""
        return (step, *(f"{step}~{2 + more}" for more in range(self.asked_anew.get(step, 0))))


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What an attempt that stopped before its end left to the next one.

    `done` are steps that took effect and stand, `not_done` those that certainly have none; of any
    other step `standing` says more. `asked_anew` counts for each step the keys it had beside the
    first. `approved` is its last decision. `turned_back` is how the attempt would have ended, where
    it was on its way back, or had been told to go back. `steps` are the names of all its steps, in
    order.
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
    steps: tuple[str, ...] = ()
    standing: Standing | None = None
    corrections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def may_stand(self) -> set[str]:
        """The steps that took effect and stand, or may: also the one that was to be asked next."""
        if self.standing is None:
            return set(self.done)
        passed = set(self.standing.passed)
        reached = {
            step for place, step in enumerate(self.steps) if passed.issuperset(self.steps[:place])
        }
        return (passed | reached | {*self.standing.unknown}) - set(self.not_done)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The business said no: a step refused, or a person whose answer was awaited."""

    because: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Turning:
    """Why an attempt goes back; `because` is as SagaDecided has it."""

    because: str
    reason: str


def standing_of(attempt: int, story: Sequence[SagaEvent]) -> Standing:
    recorded = [event for event in story if event.attempt == attempt]
    resumed = [event for event in recorded if isinstance(event, SagaResumed)]
    by_hand = {event.step for event in resumed if event.direction == "do" and _was_done(event)}
    denied = {event.step for event in resumed if event.direction == "do" and _was_denied(event)}
    undone = {event.step for event in recorded if isinstance(event, StepCompensated)}
    undone |= {event.step for event in resumed if event.direction == "undo" and _was_done(event)}
    outcomes: dict[str, set[str]] = {}
    for event in recorded:
        if isinstance(event, StepDone):
            outcomes.setdefault(event.step, set()).add(event.outcome)
    unknown = {
        event.step
        for event in recorded
        if isinstance(event, StepUnknown) and event.direction == "do"
    }
    passed = {*outcomes, *by_hand}
    return Standing(
        passed=tuple(sorted(passed)),
        unchanged=tuple(sorted({step for step in outcomes if outcomes[step] == {""}} - by_hand)),
        not_done=tuple(
            sorted(undone | (denied - passed) | (_refused_steps(recorded) - passed - unknown))
        ),
        unknown=tuple(sorted(unknown - denied)),
        denied=tuple(sorted(denied)),
        asked_anew=Counter(event.step for event in resumed if event.direction == "do"),
    )


def _refused_steps(recorded: Sequence[SagaEvent]) -> set[str]:
    """The steps whose last word was no: what is asked again after it may have happened since."""
    no: set[str] = set()
    for event in recorded:
        if isinstance(event, StepRefused | StepFailed):
            no.add(event.step)
        elif isinstance(event, SagaResumed) and event.direction == "do" and not _was_denied(event):
            no.discard(event.step)
    return no


def refusal_in(attempt: int, story: Sequence[SagaEvent]) -> Refusal | None:
    """Why the business refused the attempt, if it did; a refusal after the pivot is none."""
    for event in story:
        if event.attempt != attempt:
            continue
        if isinstance(event, SagaDecided) and event.approved:
            return None
        if isinstance(event, StepRefused):
            return Refusal(because=event.outcome, reason=event.reason)
        if isinstance(event, StepAnswered) and not event.approved:
            because = "NotAnswered" if event.actor == DEADLINE else "Declined"
            return Refusal(because=because, reason=event.reason)
    return None


DEADLINE = "deadline"
"""Who answers a step that nobody else answered in time."""


def decision_of(attempt: int, story: Sequence[SagaEvent]) -> SagaDecided | None:
    """The last decision: a person may have had a pivot taken back that had been told as done."""
    decided = [one for one in story if isinstance(one, SagaDecided) and one.attempt == attempt]
    return decided[-1] if decided else None


def is_crossed(pivot: str, attempt: int, story: Sequence[SagaEvent]) -> bool:
    """Whether the pivot took effect, and nobody has had it taken back."""
    if decided := decision_of(attempt, story):
        return decided.approved
    return pivot in standing_of(attempt, story).passed


def was_asked(step: str, attempt: int, story: Sequence[SagaEvent]) -> bool:
    """Whether the stream tells anything of the step."""
    kinds = StepDone | StepRefused | StepFailed | StepUnknown | SagaParked | SagaResumed
    return any(
        event.attempt == attempt and isinstance(event, kinds) and event.step == step
        for event in story
    )


def cancellation_in(attempt: int, story: Sequence[SagaEvent]) -> CancelRequested | None:
    wishes = [one for one in story if isinstance(one, CancelRequested) and one.attempt == attempt]
    return wishes[0] if wishes else None


def turning_in(attempt: int, story: Sequence[SagaEvent]) -> Turning | None:
    """Why the attempt goes back: as it has told or, where it was stopped before it could, as it had
    to. Who cancelled, declined or had it taken back has been told that it will be.
    """
    decided = decision_of(attempt, story)
    if decided is not None and not decided.approved:
        return Turning(because=decided.because, reason=decided.reason)
    if decided is None and (refusal := refusal_in(attempt, story)):
        return Turning(because=refusal.because, reason=refusal.reason)
    if by := _taken_back_by(attempt, story):
        return Turning(because="intervention", reason=by.reason)
    if decided is None and (wish := cancellation_in(attempt, story)):
        return Turning(because="cancelled", reason=wish.reason)
    return None


def _taken_back_by(attempt: int, story: Sequence[SagaEvent]) -> SagaResumed | None:
    """By whom, after whatever was decided; a pivot that was told as done may be taken back, too."""
    by = None
    for event in story:
        if event.attempt != attempt:
            continue
        if isinstance(event, SagaDecided):
            by = None
        elif isinstance(event, SagaResumed) and (event.kind == "compensate" or _was_denied(event)):
            by = by or event
    return by


def ended_in(attempt: int, story: Sequence[SagaEvent]) -> SagaEnded | None:
    return next(
        (one for one in story if isinstance(one, SagaEnded) and one.attempt == attempt), None
    )


def unended(story: Sequence[SagaEvent], before: int) -> Sequence[SagaStarted]:
    """The attempts that began since the last end, and before the attempt of this number."""
    begun = [one for one in story if isinstance(one, SagaStarted) and one.attempt < before]
    ends = [one.attempt for one in story if isinstance(one, SagaEnded) and one.attempt < before]
    return [one for one in begun if one.attempt > max(ends, default=0)]


def leftovers_of(started: SagaStarted, story: Sequence[SagaEvent]) -> Leftovers:
    """What an attempt that has not ended left behind."""
    attempt = started.attempt
    standing = standing_of(attempt, story)
    decided = decision_of(attempt, story)
    turning = turning_in(attempt, story)
    refusal = refusal_in(attempt, story)
    is_refused = turning and refusal and turning.because == refusal.because
    return Leftovers(
        attempt=attempt,
        opened_on=started.opened_on or date.min,
        done=tuple(step for step in standing.passed if step not in standing.not_done),
        not_done=standing.not_done,
        asked_anew=standing.asked_anew,
        approved=decided is not None and decided.approved,
        turned_back=("refused" if is_refused else "compensated") if turning else None,
        because=turning.because if turning else "",
        reason=turning.reason if turning else "",
        steps=started.steps,
        standing=standing,
        corrections=corrections_in(attempt, story),
    )


def corrections_in(attempt: int, story: Sequence[SagaEvent]) -> Mapping[str, tuple[str, ...]]:
    """What persons corrected in the input of each step, as Left has it."""
    corrections: dict[str, tuple[str, ...]] = {}
    for event in story:
        if isinstance(event, SagaResumed) and event.attempt == attempt and event.correction:
            corrections[event.step] = (*corrections.get(event.step, ()), event.correction)
    return corrections


def _was_done(resumed: SagaResumed) -> bool:
    return resumed.kind == "skip" or (resumed.kind == "resolve" and resumed.happened)


def _was_denied(resumed: SagaResumed) -> bool:
    return resumed.kind == "resolve" and not resumed.happened

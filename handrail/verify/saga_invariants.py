"""What must be true of a saga's own stream, the fence, and what people decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from handrail.sagas.events import (
    CancelRequested,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepRefused,
    StepUnknown,
)
from handrail.sagas.interventions import SagaTold
from handrail.verify.evidence import SagaEvidence
from handrail.verify.saga_facts import certainly_not_done, is_documented
from handrail.verify.violations import Violation, steps


def steps_have_outcomes(evidence: SagaEvidence) -> Iterator[Violation]:
    """Every step of an ended saga was done and kept, or compensated, and nothing else was; the
    fence agrees on each.
    """
    # A command that no saga asked for has a key at the fence, and no stream of a saga.
    if not evidence.story:
        return
    yield from _not_compensated(evidence)
    yield from _compensated_for_nothing(evidence)
    yield from _completed_without(evidence)
    yield from _ended_once(evidence)
    yield from _at_the_fence(evidence)


def _not_compensated(evidence: SagaEvidence) -> Iterator[Violation]:
    """A later attempt takes back what an earlier one left, as a step of either of the two."""
    never = {
        (row.attempt, row.step)
        for row in evidence.fence
        if not row.answered and row.direction == "do"
    }
    begun, unknown = set[tuple[int, str]](), set[tuple[int, str]]()
    for event in evidence.story:
        match event:
            case StepDone(outcome=outcome) if outcome:
                begun.add((event.attempt, event.step))
                unknown.discard((event.attempt, event.step))
            case StepUnknown(direction="do"):
                unknown |= {(event.attempt, event.step)} - begun
                begun.add((event.attempt, event.step))
            case StepCompensated():
                begun = {
                    (attempt, step)
                    for attempt, step in begun
                    if step != event.step or attempt > event.attempt
                }
            case SagaEnded(ending="completed"):
                begun.clear()
            case SagaEnded(ending=ending):
                for attempt, step in sorted(begun - never):
                    text = f"saga {evidence.id} ({ending}): {step} of attempt {attempt}"
                    # The row that shut it before it took effect may have been deleted.
                    deleted = evidence.fence_deleted(attempt) if (attempt, step) in unknown else ""
                    yield Violation(f"{text} was not taken back", steps(step), deleted)
                begun.clear()
            case _:
                pass


def _compensated_for_nothing(evidence: SagaEvidence) -> Iterator[Violation]:
    """A step that changed nothing, such as one that found its account open, has nothing to undo."""
    changed = set[str]()
    for event in evidence.story:
        match event:
            case StepDone(outcome=outcome) if outcome:
                changed.add(event.step)
            case StepUnknown():
                changed.add(event.step)
            case SagaResumed() if is_documented(event):
                changed.add(event.step)
            case StepCompensated(outcome=outcome) if outcome and event.step not in changed:
                text = f"saga {evidence.id}: {outcome} takes back {event.step}, which did nothing"
                yield Violation(text)
            case _:
                pass


def _completed_without(evidence: SagaEvidence) -> Iterator[Violation]:
    """What a person found not to have happened has to be done after all, or the saga turns back."""
    missing = set[str]()
    for event in evidence.story:
        match event:
            case SagaResumed(direction="do") if certainly_not_done(event):
                missing.add(event.step)
            case StepDone() | StepUnknown():
                missing.discard(event.step)
            case SagaEnded(ending="completed"):
                for step in sorted(missing):
                    text = f"saga {evidence.id} (completed): {step} certainly did not happen"
                    yield Violation(text)
            case _:
                pass


def _ended_once(evidence: SagaEvidence) -> Iterator[Violation]:
    ended = Counter(one.attempt for one in evidence.story if isinstance(one, SagaEnded))
    started = [one.attempt for one in evidence.story if isinstance(one, SagaStarted)]
    if any(times > 1 for times in ended.values()) or not set(started) >= set(ended):
        yield Violation(f"saga {evidence.id}: attempts {started} ended {dict(ended)} times")


def _at_the_fence(evidence: SagaEvidence) -> Iterator[Violation]:
    """An undo may have been asked for by a later attempt, under a key of its own. One of what was
    never done only had another company let go of it: our books and the stream do not say so.
    """
    recorded = {
        (event.attempt, event.step, "do")
        for event in evidence.story
        if isinstance(event, StepDone | StepRefused)
    }
    recorded |= {
        (0, one.step, "undo") for one in evidence.story if isinstance(one, StepCompensated)
    }
    let_go, answered = set[tuple[int, str, str]](), set[tuple[int, str, str]]()
    for row in evidence.fence:
        if row.answered and row.direction == "do":
            answered.add((row.attempt, row.step, "do"))
        elif row.answered:
            was_done = _was_done(evidence, row.step, until=row.attempt)
            (answered if was_done else let_go).add((0, row.step, "undo"))
    for key in sorted((answered ^ recorded) - (let_go - answered)):
        attempt, step, direction = key
        name = "/".join([evidence.id, *([str(attempt)] if attempt else []), step, direction])
        where = "the fence" if key in answered else "the saga's stream"
        deleted = "" if key in answered else evidence.fence_deleted(attempt)
        yield Violation(f"step {name} is known to {where} only", steps(step), deleted)


def _was_done(evidence: SagaEvidence, step: str, *, until: int) -> bool:
    """By this attempt or one before it."""
    return any(
        isinstance(event, StepDone) and event.step == step and event.attempt <= until
        for event in evidence.story
    )


def interventions(evidence: SagaEvidence) -> Iterator[Violation]:
    """What a saga is said to have accepted is in its own stream, once, with actor and reason."""
    accepted = Counter[str]()
    for event in evidence.story:
        if isinstance(event, SagaResumed):
            accepted[event.intervention] += 1
            if not (event.actor and event.reason):
                text = f"saga {evidence.id}: {event.intervention} has no actor or no reason"
                yield Violation(text)
    for intervention, event in evidence.mentioned(SagaTold):
        if event.heard == "accepted":
            times = accepted[f"{intervention}:{evidence.id}"]
            if times != 1:
                yield Violation(f"saga {evidence.id}: accepted {intervention} {times} times")


def attempts_in_turn(evidence: SagaEvidence) -> Iterator[Violation]:
    """A saga has one attempt at a time: each begins once, after the one before, which does nothing
    any more.
    """
    current = 0
    for event in evidence.story:
        name = f"saga {evidence.id}: attempt {event.attempt}"
        match event:
            case SagaStarted(attempt=attempt):
                if attempt <= current:
                    yield Violation(f"{name} began after attempt {current}")
                current = max(current, attempt)
            case StepDone() | SagaDecided() | SagaEnded() if event.attempt < current:
                what = type(event).__name__
                yield Violation(f"{name} has a {what} after attempt {current} began")
            case _:
                pass


def decisions_hold(evidence: SagaEvidence) -> Iterator[Violation]:
    """A saga that ends was answered, its answer is how it ends, and changes at most once: from yes
    to no, by an operator's `compensate`.
    """
    for round_ in _rounds(evidence):
        yield from _one_answer(evidence.id, round_)


def _rounds(evidence: SagaEvidence) -> Iterator[Sequence[SagaEvent]]:
    """From the start of a saga to its answer: some types are asked for once, whatever their
    attempts; others again after they have ended.
    """
    started = (one for one in evidence.story if isinstance(one, SagaStarted))
    once = any(one.saga_type in evidence.asked_once for one in started)
    round_ = list[SagaEvent]()
    for event in evidence.story:
        round_.append(event)
        if isinstance(event, SagaEnded) and not once:
            yield round_
            round_ = []
    yield round_


def _one_answer(saga: str, round_: Sequence[SagaEvent]) -> Iterator[Violation]:
    yield from _answer_is_kept(saga, round_)
    answer: bool | None = None
    taken_back = False
    for event in round_:
        match event:
            case SagaResumed(kind="compensate"):
                taken_back = True
            case SagaDecided(approved=approved):
                if answer is False and approved:
                    yield Violation(f"saga {saga}: approved after it was refused")
                elif answer and not approved and not taken_back:
                    yield Violation(f"saga {saga}: refused after it was approved, by nobody")
                answer = approved
            case _:
                pass


def _answer_is_kept(saga: str, round_: Sequence[SagaEvent]) -> Iterator[Violation]:
    answer: bool | None = None
    must_answer = is_cancelled = False
    for event in round_:
        match event:
            case SagaStarted(run=run):
                # Before a saga knew its run, not every one was answered.
                must_answer = bool(run)
            case SagaDecided(approved=approved):
                answer = approved
            case CancelRequested():
                is_cancelled = True
            case SagaEnded(ending="completed") if is_cancelled:
                yield Violation(f"saga {saga}: it was to be cancelled, but it ended as completed")
            case SagaEnded(ending=ending):
                if answer is None and must_answer:
                    yield Violation(f"saga {saga}: it ended as {ending}, and nobody was answered")
                elif answer is not None and answer != (ending == "completed"):
                    message = "approved" if answer else "refused"
                    yield Violation(f"saga {saga}: {message}, but it ended as {ending}")
            case _:
                pass

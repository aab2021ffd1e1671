"""The clean slate: whatever happened on the way, all is kept or nothing is left."""

from __future__ import annotations

from handrail.sagas.events import (
    SagaEnded,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepUnknown,
)
from handrail.testing.books import Books, differences
from handrail.testing.evidence import Evidence, anonymous
from handrail.testing.saga_case import Subject


def assert_clean_slate(subject: Subject, found: Evidence, kept: Books) -> None:
    """`kept` is what an undisturbed run of the same saga leaves, without its names."""
    _assert_one_ending(found)
    assert_all_is_folded(found)
    assert_companies_agree(found)
    if found.ended.ending == "completed":
        stands = anonymous(found.after, subject.names)
        _assert_same(
            stands, kept, "the saga completed, and left what it does not leave undisturbed"
        )
        _assert_every_step_has_an_outcome(subject, found)
        assert found.undone == [], f"the saga completed, and took back {found.undone}"
    else:
        said = f"the saga ended {found.ended.ending}, and its rollback left something behind"
        _assert_same(found.after, found.before, said)
        _assert_taken_back_newest_first(subject, found)


def _assert_same(stands: Books, expected: Books, said: str) -> None:
    different = differences(stands, expected)
    assert not different, f"{said}: {'; '.join(different)}"


def assert_all_is_folded(found: Evidence) -> None:
    """What no aggregate folds would be compared with nothing."""
    names = ", ".join(sorted(found.unknown))
    assert not found.unknown, f"the saga writes to {names}: name them in the aggregates of its case"


def assert_companies_agree(found: Evidence) -> None:
    """What another company holds is what our books say, and it did each step once at most."""
    theirs, ours = found.stand.theirs, found.stand.ours
    assert theirs == ours, f"other companies hold {theirs}, and our events say {ours}"
    twice = {asked: times for asked, times in found.stand.effects.items() if times > 1}
    assert not twice, f"{twice}: stands more than once"


def _assert_one_ending(found: Evidence) -> None:
    """One saga, one end: each attempt begins once, in turn, and only the last one ends.

    One that was terminated before anybody worked on it never began.
    """
    attempts = [one.attempt for one in found.told(SagaStarted)]
    assert attempts == sorted(set(attempts))
    assert [one.attempt for one in found.told(SagaEnded)] == attempts[-1:]


def _assert_every_step_has_an_outcome(subject: Subject, found: Evidence) -> None:
    done = {one.step for one in found.told(StepDone)}
    without = sorted(set(subject.saga.names) - done - _by_hand(found))
    assert not without, f"the saga completed, and has no outcome of {', '.join(without)}"
    assert done <= set(subject.saga.names), f"{done} has more than the steps of the saga"


def _assert_taken_back_newest_first(subject: Subject, found: Evidence) -> None:
    groups = subject.saga.groups
    group_of = {step.name: n for n, group in enumerate(groups) for step in group}
    last = found.story[-1].attempt
    told: list[StepDone | StepUnknown] = [*found.told(StepDone), *found.told(StepUnknown)]
    begun = {one.step for one in told if one.attempt == last and one.step in group_of}
    asked = {step.partition("~")[0] for _, step, direction in found.fence if direction == "do"}
    undone = found.undone
    assert len(set(undone)) == len(undone), f"taken back twice: {undone}"
    assert begun - _by_hand(found) - _left_nothing(subject, found) <= set(undone) <= asked
    groups_undone = [group_of[step] for step in undone]
    assert groups_undone == sorted(groups_undone, reverse=True), f"not newest first: {undone}"
    for step in undone:
        assert found.fence[last, step, "do"].closed
    for compensated in found.told(StepCompensated):
        answered = [
            row.answered
            for (attempt, step, direction), row in found.fence.items()
            if (attempt, step.partition("~")[0], direction)
            == (compensated.attempt, compensated.step, "undo")
        ]
        assert any(answered)


def is_taken_back(subject: Subject, found: Evidence, step: str) -> bool:
    """Or there was nothing to take back: the step was done, and changed nothing."""
    return step in {*found.undone, *_left_nothing(subject, found)}


def _left_nothing(subject: Subject, found: Evidence) -> set[str]:
    """The steps that the stream says were done without an event, in the last attempt."""
    last = found.story[-1].attempt
    outside = {step.name for group in subject.saga.groups for step in group if step.do.asks_outside}
    silent = [one for one in found.told(StepDone) if one.attempt == last and not one.outcome]
    return {one.step for one in silent} - outside


def _by_hand(found: Evidence) -> set[str]:
    return {one.step for one in found.told(SagaResumed) if one.kind in {"skip", "resolve"}}

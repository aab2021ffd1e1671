"""The way back of a saga: which steps a rollback takes back, by how the stream says they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handrail.sagas.definition import Saga, Step
from handrail.sagas.recovery import Standing


@dataclass(frozen=True)
class WayBack:
    """`groups` are to be taken back, in the order in which they were asked.

    `orphans` are steps of which our own books hold nothing, and which another company may have done
    all the same: it is asked to let go of them. `pivot_may_stand` is whether it may hold the pivot.
    """

    groups: Sequence[Sequence[Step]]
    pivot_may_stand: bool
    orphans: Sequence[Step] = ()


def way_back(saga: Saga, standing: Standing) -> WayBack:
    """What took effect is taken back, and what may have: nothing that certainly did not.

    All forward keys are closed by now. So a step of which the stream says nothing did nothing in
    our own books; another company may have done it, but only where everything before it took
    effect, as it was not asked for otherwise.
    """
    groups: list[Sequence[Step]] = []
    orphans: list[Step] = []
    was_reached = True
    for group in saga.groups:
        groups.append([step for step in group if _may_stand(step, standing)])
        if was_reached:
            orphans += [step for step in group if _may_be_orphan(step, standing)]
        was_reached = was_reached and all(step.name in standing.passed for step in group)
    pivot = saga.pivot_step
    asked = (
        was_reached and pivot.do.asks_outside and not _is_certainly_nowhere(pivot.name, standing)
    )
    return WayBack(groups=groups, pivot_may_stand=asked, orphans=orphans)


def _may_stand(step: Step, standing: Standing) -> bool:
    if step.name in standing.not_done:
        return False
    if step.name in standing.passed:
        # What changed nothing is another's; a company knows it by our key all the same.
        return step.do.asks_outside or step.name not in standing.unchanged
    return step.name in standing.unknown


def _may_be_orphan(step: Step, standing: Standing) -> bool:
    if step.name in {*standing.passed, *standing.unknown}:
        return False  # it is taken back, or was
    asks = step.do.asks_outside and step.undo.asks_outside
    return asks and not _is_certainly_nowhere(step.name, standing)


def _is_certainly_nowhere(step: str, standing: Standing) -> bool:
    """What a person says of another company is not certain until the company has let go of it."""
    return step in standing.not_done and step not in standing.denied

"""What happens when a step goes wrong, in words, from the policies that the saga runs by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Final

from handrail.sagas.definition import OnFailure, RetriableStep, Saga, Step
from handrail.sagas.parking import POSSIBLE, Role

_TOO_LATE: Final = "refused: it is too late, and whoever cancels is told so"
_THE_RUNS: Final = {"deadline": "the run's deadline", "patience": "the run's patience"}


@dataclass(frozen=True)
class Explained:
    """One step, and what follows when it is refused, certainly fails, gives no answer, or the saga
    is cancelled while it runs. `compensation` is empty for what is never taken back.
    """

    step: str
    what: str
    compensation: str
    refused: str
    fails: str
    silent: str
    cancelled: str


def explain(saga: Saga) -> Sequence[Explained]:
    """In the order in which the steps are asked."""
    retriable = [
        _explain_retriable(step, group) for group in saga.retriable_groups for step in group
    ]
    return [*_explain_compensatables(saga), _pivot(saga), *retriable]


def _explain_compensatables(saga: Saga) -> Iterator[Explained]:
    before: list[Step] = []
    for group in saga.groups:
        for step in group:
            beside = [one for one in group if one is not step]
            yield _explain_compensatable(step, [*before, *beside], beside)
        before += group


def _explain_compensatable(step: Step, others: Sequence[Step], beside: Sequence[Step]) -> Explained:
    what = "can be taken back"
    if beside:
        what += f"; runs beside {_names(beside)}"
    refused = f"the saga ends as refused; {_back(others)}"
    cancelled = f"it comes to its end, then {_back([*others, step])}"
    if step.answered_within:
        what += f"; somebody answers it within {_long(step.answered_within)}"
        if step.reminded_after:
            what += f", and is reminded after {_long(step.reminded_after)}"
        refused += f"; a no, or no answer in time: {_back([*others, step])}"
        cancelled = f"it waits for no answer any more; {_back([*others, step])}"
    return Explained(
        step=step.name,
        what=what,
        compensation=(
            f"{type(step.undo).__name__}; where that does not get done within"
            f" {_THE_RUNS['patience']}, {_parked('compensation')}"
        ),
        refused=refused,
        fails=_then(step.on_failure, others),
        silent=f"{_tried('deadline', step.deadline, step.attempts)}, then "
        + _then(step.on_unknown, [*others, step]),
        cancelled=cancelled,
    )


def _pivot(saga: Saga) -> Explained:
    step, before = saga.pivot_step, list(chain.from_iterable(saga.groups))
    asked = _tried("patience", step.patience, step.attempts)
    silent = f"{asked}, then {_parked('pivot')}"
    if not saga.can_void_pivot:
        silent += "; all is only taken back once somebody has found out that it did not happen"
    return Explained(
        step=step.name,
        what="the pivot: after it there is no way back",
        compensation="",
        refused=f"the saga ends as refused; {_back(before)}",
        fails=_parked("pivot"),
        silent=silent,
        cancelled=_TOO_LATE,
    )


def _explain_retriable(step: RetriableStep, group: Sequence[RetriableStep]) -> Explained:
    asked = _tried("patience", step.patience, step.attempts)
    what = "is not taken back: it gets done"
    if beside := [one for one in group if one is not step]:
        what += f"; runs beside {_names(beside)}"
    return Explained(
        step=step.name,
        what=what,
        compensation="",
        refused=f"{_parked('retriable')}; a retry asks anew, under a new key",
        fails=_parked("retriable"),
        silent=f"{asked}, then {_parked('retriable')}",
        cancelled=_TOO_LATE,
    )


def _then(policy: OnFailure, taken_back: Sequence[Step]) -> str:
    if policy == "park":
        return _parked("compensatable")
    return f"the saga ends as compensated; {_back(taken_back)}"


def _back(steps: Sequence[Step]) -> str:
    if not steps:
        return "there is nothing to take back"
    if len(steps) == 1:
        return f"{_names(steps)} is taken back"
    return f"what was done of {_names(steps)} is taken back"


def _names(steps: Sequence[Step | RetriableStep]) -> str:
    *most, last = [step.name for step in steps]
    return f"{', '.join(most)} and {last}" if most else last


def _parked(role: Role) -> str:
    *most, last = POSSIBLE[role]
    return f"it waits for an operator ({', '.join(most)} or {last})"


def _tried(limit: str, seconds: timedelta | None, attempts: int | None) -> str:
    long = _long(seconds) if seconds else _THE_RUNS[limit]
    times = f", at most {attempts} times" if attempts else ""
    return f"it is asked again for {long}{times}"


def _long(time: timedelta) -> str:
    seconds = time.total_seconds()
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length and seconds % length == 0:
            many = seconds / length
            return f"{many:g} {unit}" if many > 1 else f"1 {unit.removesuffix('s')}"
    return f"{seconds:g} seconds"

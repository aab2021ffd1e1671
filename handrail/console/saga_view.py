"""How each step of a saga stands, out of its definition and its timeline; and its rollback, in
words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any, Final, Literal

from handrail.sagas.definition import Saga
from handrail.sagas.explain import Explained, explain
from handrail.sagas.parking import Role

State = Literal[
    "to come",
    "asked",
    "done",
    "refused",
    "failed",
    "unknown",
    "parked",
    "awaiting",
    "skipped",
    "resolved",
    "did not happen",
    "not asked",
]
BackState = Literal["none", "not needed", "to come", "taken back", "parked", "unknown", "skipped"]
Entry = Mapping[str, Any]
"""One line of a saga's timeline, as the board keeps it."""

_ENDED: Final = ("completed", "refused", "compensated")
_MAY_HAVE_HAPPENED: Final = frozenset({"done", "unknown", "resolved", "parked", "awaiting"})
_OUTCOMES: Final[Mapping[str, State]] = {
    "StepDone": "done",
    "StepRefused": "refused",
    "StepFailed": "failed",
    "StepUnknown": "unknown",
    "SagaParked": "parked",
    "AnswerAwaited": "awaiting",
}


@dataclass(frozen=True, kw_only=True)
class StepView:
    """A step as it stands. `tries` counts how often it was asked as far as the saga's stream says;
    `seconds` is the time from the step before it to its first outcome. `certain` is whether it
    certainly did not happen, as far as is known.
    """

    name: str
    role: Role
    beside: int
    state: State = "to come"
    tries: int = 0
    seconds: float | None = None
    since: str = ""
    cause: str = ""
    undo: str = ""
    back: BackState = "none"
    certain: bool = False
    explained: Explained

    @property
    def may_have_happened(self) -> bool:
        return self.state in _MAY_HAVE_HAPPENED and not (self.state == "parked" and self.certain)


@dataclass(frozen=True, kw_only=True)
class SagaView:
    """`groups` are the steps in the way they are asked, those side by side together."""

    groups: Sequence[Sequence[StepView]]
    rollback: str
    is_complete: bool
    pivot: str
    is_newest_shape: bool = True
    later: Sequence[str] = field(default=())
    """Steps that the timeline names and this definition does not have."""

    @property
    def steps(self) -> Sequence[StepView]:
        return [*chain(*self.groups)]

    def step(self, name: str) -> StepView | None:
        return next((one for one in self.steps if one.name == name), None)

    @property
    def to_take_back(self) -> Sequence[str]:
        """What would be taken back now, newest first."""
        return [one.name for one in reversed(self.steps) if one.undo and one.may_have_happened]


def view_of(saga: Saga, status: str, timeline: Sequence[Entry], *, newest: bool) -> SagaView:
    """The saga as it stands. `newest` is whether it runs in the shape of the definition."""
    entries = _of_last_attempt(timeline)
    is_back = any(one["what"] == "CompensationStarted" for one in entries) or status in {
        "refused",
        "compensated",
    }
    groups = [
        [_step(one, entries, status, is_back=is_back) for one in group] for group in _groups(saga)
    ]
    known = {one.name for one in chain(*groups)}
    rollback, complete = _rollback([*chain(*groups)], status, is_back=is_back)
    return SagaView(
        groups=_with_the_next_asked(groups, status, is_back=is_back),
        rollback=rollback,
        is_complete=complete,
        pivot=saga.pivot_step.name,
        is_newest_shape=newest,
        later=sorted({str(one["step"]) for one in entries if one.get("step")} - known),
    )


def definition_of(saga: Saga) -> SagaView:
    """The saga before it begins: as it is declared."""
    return view_of(saga, "declared", (), newest=True)


def _of_last_attempt(timeline: Sequence[Entry]) -> Sequence[Entry]:
    begun = [number for number, one in enumerate(timeline) if one["what"] == "SagaStarted"]
    return timeline[begun[-1] :] if begun else timeline


def _groups(saga: Saga) -> Iterable[Sequence[StepView]]:
    said = {one.step: one for one in explain(saga)}
    for group in saga.groups:
        yield [
            StepView(
                name=one.name,
                role="compensatable",
                beside=len(group),
                undo=type(one.undo).__name__,
                explained=said[one.name],
            )
            for one in group
        ]
    pivot = saga.pivot_step.name
    yield [StepView(name=pivot, role="pivot", beside=1, explained=said[pivot])]
    for retriable in saga.retriable_groups:
        yield [
            StepView(
                name=one.name, role="retriable", beside=len(retriable), explained=said[one.name]
            )
            for one in retriable
        ]


def _step(step: StepView, entries: Sequence[Entry], status: str, *, is_back: bool) -> StepView:
    state: State = "to come"
    tries, seconds, cause, since, certain = 0, None, "", "", False
    for number, one in enumerate(entries):
        if one.get("step") != step.name or one.get("direction") == "undo":
            continue
        what = one["what"]
        if what in _OUTCOMES:
            state, cause, since = _OUTCOMES[what], one.get("cause") or "", one["at"]
            certain = certain if what == "SagaParked" else what == "StepFailed"
            if seconds is None and number:
                seconds = _between(entries[number - 1]["at"], one["at"])
            tries += what not in {"SagaParked", "AnswerAwaited"}
            tries += what == "SagaParked" and not tries
        elif what == "SagaResumed":
            state = _resumed(one)
        elif what == "StepAnswered":
            state = "done" if one["outcome"] == "approved" else "refused"
    if state == "to come" and (is_back or status in _ENDED):
        state = "not asked"
    found = replace(
        step, state=state, tries=tries, seconds=seconds, cause=cause, since=since, certain=certain
    )
    back = _back(found, entries, is_back=is_back) if step.undo else "none"
    cause_of_back = _cause_of_back(step.name, entries) if back in {"parked", "unknown"} else cause
    return replace(found, back=back, cause=cause_of_back)


def _resumed(entry: Entry) -> State:
    match entry["outcome"]:
        case "skip":
            return "skipped"
        case "resolve":
            return "resolved" if entry.get("happened", True) else "did not happen"
        case _:
            return "asked"


def _back(step: StepView, entries: Sequence[Entry], *, is_back: bool) -> BackState:
    state: BackState = "to come" if is_back and step.may_have_happened else "not needed"
    for one in entries:
        if one.get("step") != step.name or one.get("direction") != "undo":
            continue
        match one["what"]:
            case "StepCompensated":
                state = "taken back"
            case "StepUnknown":
                state = "unknown"
            case "SagaParked":
                state = "parked"
            case "SagaResumed":
                state = {"skip": "skipped", "resolve": "taken back"}.get(one["outcome"], "to come")  # type: ignore[assignment]  # mypy does not see the literals
            case _:
                pass
    return state


def _cause_of_back(step: str, entries: Sequence[Entry]) -> str:
    said = [
        str(one["cause"])
        for one in entries
        if one.get("step") == step and one.get("direction") == "undo" and one.get("cause")
    ]
    return said[-1] if said else ""


def _with_the_next_asked(
    groups: Sequence[Sequence[StepView]], status: str, *, is_back: bool
) -> Sequence[Sequence[StepView]]:
    """The first group with something to come is being asked while the saga runs forward."""
    if is_back or status not in {"running", "parked", "awaiting"}:
        return groups
    found = [*map(list, groups)]
    for group in found:
        if any(one.state in {"to come", "asked", "parked", "awaiting", "unknown"} for one in group):
            group[:] = [
                replace(one, state="asked") if one.state == "to come" else one for one in group
            ]
            break
    return found


def _rollback(steps: Sequence[StepView], status: str, *, is_back: bool) -> tuple[str, bool]:
    if status == "declared":
        return "", True
    if not is_back:
        if status == "completed":
            return "The saga completed: nothing was to be taken back.", True
        return "The saga goes forward: nothing is being taken back.", True
    taken = [one.name for one in steps if one.back == "taken back"]
    skipped = [one.name for one in steps if one.back == "skipped"]
    waiting = [one.name for one in steps if one.back == "parked"]
    left = [one.name for one in steps if one.back in {"to come", "unknown"}]
    parts = []
    if taken:
        parts.append(f"{_listed(taken)} {_was(taken)} taken back")
    if waiting:
        parts.append(f"{_listed(waiting)} {'waits' if len(waiting) == 1 else 'wait'} for a person")
    if left:
        parts.append(f"{_listed(left)} {'is' if len(left) == 1 else 'are'} still to be taken back")
    if skipped:
        parts.append(f"{_listed(skipped)} {_was(skipped)} not taken back: a person skipped it")
    said = "; ".join(parts) or "there was nothing to take back"
    if waiting or left:
        return f"The rollback is not complete: {said}.", False
    if skipped:
        return f"The rollback has ended, and is not whole: {said}.", False
    return f"The rollback is complete: {said}.", True


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _between(before: str, after: str) -> float:
    gone = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    return max(0.0, gone.total_seconds())

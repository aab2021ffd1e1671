"""What each intervention would do at the step that is parked, in words, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handrail.console.saga_view import SagaView, StepView
from handrail.sagas.definition import Saga
from handrail.sagas.interventions import Kind
from handrail.sagas.parking import POSSIBLE, Role

KINDS: Final[tuple[Kind, ...]] = ("retry", "correct", "skip", "resolve", "compensate")


@dataclass(frozen=True)
class Choice:
    """`says` is what the intervention does here; `why_not` is empty where it can be chosen."""

    kind: Kind
    says: str
    why_not: str = ""


def choices(
    saga: Saga, view: SagaView, step: StepView, direction: str, correctable: Sequence[str]
) -> Sequence[Choice]:
    """All five, in the words of this step. The saga itself decides in the end."""
    role: Role = "compensation" if direction == "undo" else step.role
    return [
        Choice(kind, _says(kind, role, view, step), _why_not(kind, role, saga, step, correctable))
        for kind in KINDS
    ]


def _says(kind: Kind, role: Role, view: SagaView, step: StepView) -> str:
    is_back = role == "compensation"
    back = ", ".join(view.to_take_back)
    said: dict[Kind, str] = {
        "retry": _retry(role, step),
        "correct": f"Asks {step.undo if is_back else step.name} again, with the fields that you"
        " change.",
        "skip": (
            f"Goes on without taking {step.name} back: what it did stays done, and the rollback"
            " will not be whole."
            if is_back
            else f"Goes on without {step.name}: it is not done, and can take effect no more."
        ),
        "resolve": (
            f"Takes your word that {step.name} was taken back by hand, and goes on."
            if is_back
            else f"Takes your word that {step.name} was done by hand, or that it certainly did not"
            " happen, and goes on from that."
        ),
        "compensate": (
            f"Takes back {back}, the newest first, and ends the saga."
            if back
            else "Ends the saga: there is nothing to take back."
        ),
    }
    return said[kind]


def _retry(role: Role, step: StepView) -> str:
    if role == "compensation":
        return (
            f"Asks {step.undo} again, to take {step.name} back. Without an answer it waits for"
            " a person again."
        )
    said = f"Asks {step.name} again, with the same input."
    return f"{said} If it is refused: {step.explained.refused}. {_silent(step)}"


def _silent(step: StepView) -> str:
    return f"Without an answer: {step.explained.silent}."


_TOO_LATE: Final[Mapping[Role, str]] = {
    "retriable": "the pivot was done: after it there is no way back",
    "compensation": "it is being taken back already",
}


def _why_not(kind: Kind, role: Role, saga: Saga, step: StepView, correctable: Sequence[str]) -> str:
    if kind == "correct" and not correctable:
        return "no field of its input may be corrected"
    if kind in POSSIBLE[role]:
        if kind == "compensate" and role == "pivot" and not (step.certain or saga.can_void_pivot):
            return f"nobody knows whether {step.name} happened: retry it, or find out and resolve"
        return ""
    if kind == "skip":
        return "the steps after it build on it: it can be retried, resolved or taken back"
    return _TOO_LATE.get(role, "it does not fit here")

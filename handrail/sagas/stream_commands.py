"""Commands to the saga's own stream: what a workflow may not decide by what it remembers.

A workflow task that is lost runs again, and may then see a cancellation, an intervention or a clock
before what it saw first. So nothing of this is decided by what a workflow remembers: the activity
folds the stream, appends to it at the version it has read, and under a key that is named by what is
recorded. Asked again, the same key answers what it answered first.
"""

from __future__ import annotations

from dataclasses import dataclass

from handrail.kernel import Command
from handrail.sagas.events import CancelRequested, FreeText, StepFailed, StepUnknown


@dataclass(frozen=True, kw_only=True)
class TurnBack(Command, context="sagas"):
    """A saga asks to turn back: `because` names why, and is empty where a closed key told it to.

    `run` is the run of the workflow, which a reset changes. `over_pivot` is a person's wish to have
    even a pivot taken back that took effect. `failed`, `unknown` and `cancelled` are recorded with
    the turn.
    """

    because: str
    reason: FreeText
    run: str
    pivot: str
    over_pivot: bool = False
    failed: tuple[StepFailed, ...] = ()
    unknown: tuple[StepUnknown, ...] = ()
    cancelled: CancelRequested | None = None


@dataclass(frozen=True, kw_only=True)
class RequestCancellation(Command, context="sagas"):
    """A person asks for a saga to be cancelled, before its pivot."""

    requested: CancelRequested
    pivot: str


COMMANDS = (TurnBack, RequestCancellation)

"""Interventions in many sagas at once: what an operator asked for, and what became of each saga.

Events are stored for ever: names and fields are a contract, changed only by a new version.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, get_args

from handrail.kernel import Event
from handrail.personal import Personal
from handrail.tenant_word import TENANT_FIELD

FreeText = Annotated[str, Personal(subject="intervention")]
"""What a person wrote about many sagas at once: sealed under a key of the intervention."""

Kind = Literal["retry", "correct", "skip", "resolve", "compensate"]
Heard = Literal["accepted", "refused", "unreachable"]


def update_id(update: Literal["intervene", "answer"], id_: str) -> str:
    """The id of a workflow update: all updates of a workflow share one space of ids, and people
    choose those of interventions and answers.
    """
    return f"{update}:{id_}"


@dataclass(frozen=True, kw_only=True)
class Which:
    """The parked sagas that are meant: all that is given has to hold, and empty means any.

    `failure` is a text within the cause, in any case.
    """

    saga_type: str = ""
    step: str = ""
    tenant: Annotated[str, TENANT_FIELD] = ""
    failure: str = ""
    older_than_seconds: int = 0


SagaFilter = Which
"""The filter; its schema in the published contract is named by the class."""


@dataclass(frozen=True, kw_only=True)
class InterveneInMany:
    """What was asked for. `correction` holds the fields to correct, as a JSON object; or nothing.

    At most `per_second` sagas are told in a second.
    """

    intervention: str
    which: SagaFilter
    kind: Kind
    actor: str
    reason: FreeText
    per_second: int
    evidence: FreeText = ""
    happened: bool = True
    correction: FreeText = ""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """`found` are parked and match; those that are parked after `until` are not meant."""

    until: datetime
    found: int


@dataclass(frozen=True, kw_only=True)
class Target:
    """A saga, and the step that is parked in it: parked later than `until`, it is not meant."""

    saga: str
    step: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class InterventionBegun(Event, context="sagas"):
    """`found` were parked and matched then; none that was parked after `until` is told."""

    intervention: str
    asked: InterveneInMany
    found: int
    until: datetime


@dataclass(frozen=True, kw_only=True)
class SagaTold(Event, context="sagas"):
    """One saga was told, and this is how it took it; `said` is why it refused, or cannot hear.

    A saga refuses what does not fit it, and when it is no longer parked.
    """

    intervention: str
    saga: str
    step: str
    heard: Heard
    said: str


@dataclass(frozen=True, kw_only=True)
class InterventionStopped(Event, context="sagas"):
    """The sagas that were not told by then are left alone."""

    intervention: str
    actor: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class InterventionSuspended(Event, context="sagas"):
    """No saga is told until it is resumed."""

    intervention: str
    actor: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class InterventionResumed(Event, context="sagas"):
    """The sagas that were not told by then are told."""

    intervention: str
    actor: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class InterventionFinished(Event, context="sagas"):
    """Every saga that was found has been told, but for those that are no longer parked."""

    intervention: str


InterventionEvent = (
    InterventionBegun
    | SagaTold
    | InterventionStopped
    | InterventionFinished
    | InterventionSuspended
    | InterventionResumed
)
EVENTS: tuple[type, ...] = get_args(InterventionEvent)

"""What happens to a saga, step by step: its own stream, and what operators read.

Stored for ever: names and fields here are a contract, changed only by a new version.
A `tenant` is empty where a saga runs on behalf of none; its key in JSON is the App's word for it.
A `step` is the name a saga gives it, which is its command's class name unless it says otherwise.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final, Literal, get_args

from handrail.kernel import Event, Money
from handrail.personal import Personal
from handrail.tenant_word import StoredTenant

FreeText = Annotated[str, Personal()]
"""Words of a person, or of a business about one: personal, of the subject of the saga."""

Direction = Literal["do", "undo"]
Ending = Literal["completed", "refused", "compensated"]
Repeats = Literal["never", "numbered", "always"]
"""Whether an attempt may follow one that ended refused or compensated: never; where it comes with a
greater number; or whenever it is begun, under the next number.
"""

NOTHING_AT_STAKE: Final = Money(0, "XXX")
"""`SagaStarted.at_stake` of a saga that is not about money: ISO 4217 calls `XXX` no currency."""


@dataclass(frozen=True, kw_only=True)
class SagaStarted(Event, context="sagas"):
    """`at_stake` is the money that is in question until the saga ends; `run` is the run of the
    workflow that the attempt belongs to. `opened_on` is the day in the keys of the attempt's steps,
    and `steps` are their names, those that may never be asked included. `repeats` is whether
    another attempt may follow this one, once it has ended refused or compensated. `input` is what
    the workflow was begun with, as JSON: Temporal forgets it. `subject` is whose personal data the
    saga is about, as `subject_of` names it; empty where it is about none.
    """

    saga: str
    saga_type: str
    shape: int
    attempt: int
    tenant: StoredTenant
    at_stake: Money
    actor: str
    run: str = ""
    opened_on: date | None = None
    steps: tuple[str, ...] = ()
    repeats: Repeats = "numbered"
    input: str = ""
    subject: str = ""


@dataclass(frozen=True, kw_only=True)
class StepDone(Event, context="sagas"):
    """`outcome` is the last event the step stored, or empty where nothing was left to do."""

    saga: str
    attempt: int
    step: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class StepRefused(Event, context="sagas"):
    """The business said no; `outcome` is the refusal's name."""

    saga: str
    attempt: int
    step: str
    outcome: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class StepFailed(Event, context="sagas"):
    """It certainly did not happen: a broken rule, found before anything was done."""

    saga: str
    attempt: int
    step: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class StepUnknown(Event, context="sagas"):
    """It was asked, and no definite answer came: it may have happened."""

    saga: str
    attempt: int
    step: str
    direction: Direction
    cause: str


@dataclass(frozen=True, kw_only=True)
class CompensationStarted(Event, context="sagas"):
    """`because` is the refusal's name, `cancelled`, or the technical cause."""

    saga: str
    attempt: int
    because: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class StepCompensated(Event, context="sagas"):
    """`outcome` is the last event the compensation stored, or empty where nothing had happened."""

    saga: str
    attempt: int
    step: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class CancelRequested(Event, context="sagas"):
    saga: str
    attempt: int
    actor: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class SagaParked(Event, context="sagas"):
    """It waits for a person."""

    saga: str
    attempt: int
    step: str
    direction: Direction
    cause: str


@dataclass(frozen=True, kw_only=True)
class SagaResumed(Event, context="sagas"):
    """A person decided how a parked step goes on.

    `correction` is the corrected input as JSON, one member for each field that was changed, with
    what it was and what it is now. `evidence` is what a skip or a resolution by hand rests on.
    `happened` is False for a resolution that says the step certainly did not happen.
    """

    saga: str
    attempt: int
    step: str
    direction: Direction
    intervention: str
    kind: str
    actor: str
    reason: FreeText
    evidence: FreeText = ""
    correction: str = ""
    happened: bool = True


@dataclass(frozen=True, kw_only=True)
class AnswerAwaited(Event, context="sagas"):
    """The step was asked, and a person or another system has until then to answer it."""

    saga: str
    attempt: int
    step: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class AnswerReminded(Event, context="sagas"):
    """The answer is still missing: time to remind those who owe it."""

    saga: str
    attempt: int
    step: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class StepAnswered(Event, context="sagas"):
    """A person or another system answered; or nobody did, and the actor is `deadline`."""

    saga: str
    attempt: int
    step: str
    approved: bool
    actor: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class SagaDecided(Event, context="sagas"):
    """The answer that was waited for; the rest goes on behind it."""

    saga: str
    attempt: int
    approved: bool
    because: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class SagaEnded(Event, context="sagas"):
    """`because` names what turned it back, and is empty when it completed."""

    saga: str
    attempt: int
    ending: Ending
    because: str
    reason: FreeText


SagaEvent = (
    SagaStarted
    | StepDone
    | StepRefused
    | StepFailed
    | StepUnknown
    | CompensationStarted
    | StepCompensated
    | CancelRequested
    | SagaParked
    | SagaResumed
    | AnswerAwaited
    | AnswerReminded
    | StepAnswered
    | SagaDecided
    | SagaEnded
)
EVENTS: tuple[type, ...] = get_args(SagaEvent)

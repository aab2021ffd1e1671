"""Acts of operators as events: what was asked for, what came of it, and what was refused.

An act is a changing request to a route that is for operators, or a command that changes something.
It is stored before it is done. The stream is `audit-{day}`, the day in UTC. Events are stored for
ever: names and fields are a contract, changed only by a new version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from handrail.kernel import Event
from handrail.sagas.events import FreeText

CATEGORY: Final = "audit"


@dataclass(frozen=True, kw_only=True)
class OperatorActRequested(Event, context="sagas"):
    """A principal that may has asked for an act; nothing is done before this is stored.

    `act` is the route or the command, `target` the path or the arguments. `origin` is where it came
    from: `http ADDRESS`, or `cli LOGIN@HOST`. `request` is the id that its outcome has, too.
    `reason` is empty where none was given.
    """

    request: str
    act: str
    target: str
    principal: str
    acting_for: str = ""
    origin: str
    reason: FreeText = ""


@dataclass(frozen=True, kw_only=True)
class OperatorActAnswered(Event, context="sagas"):
    """What came of an act: the status of the answer, or the exit code of the command, and the slug
    of the problem where it was one.
    """

    request: str
    act: str
    principal: str
    status: int
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class OperatorActRefused(Event, context="sagas"):
    """A principal has asked for an act that it may not do, `count` times since the moment. `target`
    and `request` are those of the last time.
    """

    request: str
    act: str
    target: str
    principal: str
    origin: str
    problem: str
    count: int
    since: datetime


AuditEvent = OperatorActRequested | OperatorActAnswered | OperatorActRefused
EVENTS: Final[tuple[type, ...]] = get_args(AuditEvent)

"""What the messages of several contexts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NewType

from handrail.errors import OutsideAnswerMissing
from handrail.kernel import Command, Event, Refusal
from handrail.replies import Reply

TripId = NewType("TripId", str)


@dataclass(frozen=True, kw_only=True)
class TripCommand(Command):
    trip: TripId


@dataclass(frozen=True, kw_only=True)
class TripEvent(Event):
    trip: TripId


@dataclass(frozen=True, kw_only=True)
class CompanyCommand(TripCommand):
    """Asks another company; the activity adds what it replied."""

    asks_outside: ClassVar[bool] = True
    reply: Reply | None = None

    @property
    def known_reply(self) -> Reply:
        if self.reply is None:
            raise OutsideAnswerMissing(self.trip)
        return self.reply


@dataclass(frozen=True, kw_only=True)
class CompanyRefusal(Refusal):
    """Another company declined; `code` is its reason."""

    trip: TripId
    code: str

    @property
    def reason(self) -> str:
        return f"declined: {self.code}"

"""What the messages of several contexts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from handrail.kernel import Command, Event
from handrail.replies import CompanyCommand, CompanyRefusal

TripId = NewType("TripId", str)


@dataclass(frozen=True, kw_only=True)
class TripCommand(Command):
    trip: TripId


@dataclass(frozen=True, kw_only=True)
class TripEvent(Event):
    trip: TripId


@dataclass(frozen=True, kw_only=True)
class AskCompany(TripCommand, CompanyCommand):
    """Asks another company about a trip."""


@dataclass(frozen=True, kw_only=True)
class CompanyDeclined(TripEvent, CompanyRefusal):
    """Another company declined what a trip needs."""

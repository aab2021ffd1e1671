"""A right App, which each mistake of this folder spoils in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handrail.app import Context
from handrail.kernel import Command, Event, TenantId
from handrail.sagas.definition import Saga, Step
from handrail.sagas.saga_type import SagaType


@dataclass(frozen=True, kw_only=True)
class HoldSeat(Command, context="flights"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class ReleaseSeat(Command, context="flights"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class HoldRoom(Command, context="hotels"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class ReleaseRoom(Command, context="hotels"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class Pay(Command, context="hotels"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class SeatHeld(Event, context="flights"):
    trip: str


@dataclass(frozen=True, kw_only=True)
class BookTrip:
    trip: str = "trip-1"
    team: str = "research"
    email: str = "ann@example.com"


FLIGHTS = Context(name="flights", events=(SeatHeld,), commands=(HoldSeat, ReleaseSeat))
HOTELS = Context(name="hotels", commands=(HoldRoom, ReleaseRoom, Pay))


def saga(t: BookTrip) -> Saga:
    return Saga(
        compensatable=[
            Step(do=HoldSeat(trip=t.trip), undo=ReleaseSeat(trip=t.trip)),
            Step(do=HoldRoom(trip=t.trip), undo=ReleaseRoom(trip=t.trip)),
        ],
        pivot=Pay(trip=t.trip),
    )


def a_type(**other: Any) -> SagaType[BookTrip]:
    return SagaType(
        **{
            "name": "BookTrip",
            "purpose": "Book a trip.",
            "saga": saga,
            "example_input": BookTrip(),
            "id": lambda t: t.trip,
            "summary": lambda t: t.team,
            "tenant": lambda t: TenantId(t.team),
            **other,
        }
    )

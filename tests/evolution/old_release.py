"""A small business, an inn, as its release N has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from handrail.app import App, Context
from handrail.kernel import Command, Event


@dataclass(frozen=True, kw_only=True)
class BookRoom(Command, context="inn"):
    guest: str
    nights: int


@dataclass(frozen=True, kw_only=True)
class RoomBooked(Event, context="inn"):
    guest: str
    sum: int


@dataclass(frozen=True, kw_only=True)
class StayMeasured(Event, context="inn"):
    guest: str
    minutes: int


@dataclass(frozen=True, kw_only=True)
class MealServed(Event, context="inn"):
    guest: str
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class RemarkNoted(Event, context="inn"):
    guest: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class KeyHandedOver(Event, context="inn"):
    guest: str
    room: int


@dataclass(frozen=True, kw_only=True)
class GuestMoved(Event, context="inn"):
    guest: str
    street: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class DiscountGranted(Event, context="inn"):
    guest: str
    percent: int


@dataclass(frozen=True, kw_only=True)
class BellRung(Event, context="inn"):
    guest: str


@dataclass(frozen=True, kw_only=True)
class HelpAsked(Event, context="inn"):
    """It was there beside BellRung before that was retired."""

    guest: str
    how: str


@dataclass(frozen=True, kw_only=True)
class GuestLeft(Event, context="inn"):
    """It never changes."""

    guest: str


INN: Final = Context(
    name="inn",
    events=(
        RoomBooked,
        StayMeasured,
        MealServed,
        RemarkNoted,
        KeyHandedOver,
        GuestMoved,
        DiscountGranted,
        BellRung,
        HelpAsked,
        GuestLeft,
    ),
    commands=(BookRoom,),
)
OLD: Final = App(contexts=[INN])

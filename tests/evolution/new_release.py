"""The inn as its release N + 1 has it: with a change of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from handrail.app import App, Context
from handrail.evolution.changes import Change, EventRenamed, EventRetired, EventSplit, NewVersion
from handrail.evolution.fields import (
    FieldAdded,
    FieldConverted,
    FieldRemoved,
    FieldRenamed,
    FieldsConverted,
)
from handrail.evolution.forms import Data, Form
from handrail.kernel import Command, Event, Money


@dataclass(frozen=True, kw_only=True)
class BookRoom(Command, context="inn"):
    guest: str
    nights: int
    cot: bool = False


@dataclass(frozen=True, kw_only=True)
class RoomBooked(Event, context="inn"):
    guest: str
    amount: int
    floor: int = 0


@dataclass(frozen=True, kw_only=True)
class StayMeasured(Event, context="inn"):
    guest: str
    seconds: int


@dataclass(frozen=True, kw_only=True)
class MealServed(Event, context="inn"):
    guest: str
    price: Money


@dataclass(frozen=True, kw_only=True)
class RemarkNoted(Event, context="inn"):
    guest: str


@dataclass(frozen=True, kw_only=True)
class KeyGiven(Event, context="inn"):
    guest: str
    room: int


@dataclass(frozen=True, kw_only=True)
class AddressChanged(Event, context="inn"):
    guest: str
    street: str


@dataclass(frozen=True, kw_only=True)
class PhoneChanged(Event, context="inn"):
    guest: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class RebateGranted(Event, context="inn"):
    guest: str
    permille: int


@dataclass(frozen=True, kw_only=True)
class HelpAsked(Event, context="inn"):
    guest: str
    how: str


@dataclass(frozen=True, kw_only=True)
class GuestLeft(Event, context="inn"):
    guest: str


def parts_of_a_move(moved: Data) -> Mapping[str, Data]:
    guest = moved["guest"]
    return {
        "AddressChanged": {"guest": guest, "street": moved["street"]},
        "PhoneChanged": {"guest": guest, "phone": moved["phone"]},
    }


def a_move_of(parts: Mapping[str, Data]) -> Data:
    return {**parts["AddressChanged"], **parts["PhoneChanged"]}


def to_price(old: Mapping[str, Any]) -> Mapping[str, Any]:
    """amount and currency are one price"""
    return {"price": {"amount": old["amount"], "currency": old["currency"]}}


def from_price(new: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(new["price"])


def to_seconds(minutes: int) -> int:
    """minutes are counted as seconds"""
    return 60 * minutes


def to_minutes(seconds: int) -> int:
    return seconds // 60


COT = NewVersion("BookRoom", 2, (FieldAdded("cot", default=False),), loses=("cot",))
BOOKED = NewVersion(
    "RoomBooked",
    2,
    (FieldRenamed("amount", was="sum"), FieldAdded("floor", default=0)),
    loses=("floor",),
)
MEASURED = NewVersion(
    "StayMeasured",
    2,
    (
        FieldRenamed("seconds", was="minutes"),
        FieldConverted("seconds", up=to_seconds, down=to_minutes),
    ),
    loses=("seconds",),
)
SERVED = NewVersion(
    "MealServed",
    2,
    (FieldsConverted(("amount", "currency"), ("price",), up=to_price, down=from_price),),
)
NOTED = NewVersion("RemarkNoted", 2, (FieldRemoved("colour", lowered_as=""),))
GIVEN = EventRenamed("KeyGiven", 2, was="KeyHandedOver")
MOVED = EventSplit(
    "GuestMoved",
    2,
    into=(Form("AddressChanged"), Form("PhoneChanged")),
    up=parts_of_a_move,
    down=a_move_of,
)
GRANTED = EventRetired(
    "DiscountGranted",
    2,
    by=Form("RebateGranted"),
    up=lambda old: {"guest": old["guest"], "permille": 10 * old["percent"]},
    down=lambda new: {"guest": new["guest"], "percent": new["permille"] // 10},
    loses=("permille",),
)
RUNG = EventRetired(
    "BellRung", 2, by=Form("HelpAsked"), up=lambda old: {**old, "how": "with the bell"}
)

CHANGES: Final[tuple[Change, ...]] = (
    COT,
    BOOKED,
    MEASURED,
    SERVED,
    NOTED,
    GIVEN,
    MOVED,
    GRANTED,
    RUNG,
)

INN: Final = Context(
    name="inn",
    events=(
        RoomBooked,
        StayMeasured,
        MealServed,
        RemarkNoted,
        KeyGiven,
        AddressChanged,
        PhoneChanged,
        RebateGranted,
        HelpAsked,
        GuestLeft,
    ),
    commands=(BookRoom,),
)
NEW: Final = App(contexts=[INN], evolutions=CHANGES)

"""The context `hotels`: a room that the hotel holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from handrail.replies import Accepted
from trips.domain.messages import AskCompany, CompanyDeclined, TripEvent


@dataclass(frozen=True, kw_only=True)
class HoldRoom(AskCompany, context="hotels"):
    hotel: str


class ReleaseRoom(AskCompany, context="hotels"): ...


@dataclass(frozen=True, kw_only=True)
class RoomHeld(TripEvent, context="hotels"):
    reference: str


class RoomRefused(CompanyDeclined, context="hotels"): ...


class RoomReleased(TripEvent, context="hotels"): ...


RoomCommand = HoldRoom | ReleaseRoom
RoomEvent = RoomHeld | RoomRefused | RoomReleased
COMMANDS: tuple[type, ...] = get_args(RoomCommand)
EVENTS: tuple[type, ...] = get_args(RoomEvent)


@dataclass(frozen=True)
class Room:
    held: bool = False


def decide(command: RoomCommand, room: Room) -> Sequence[RoomEvent]:
    trip, reply = command.trip, command.known_reply
    if isinstance(command, ReleaseRoom):
        return [RoomReleased(trip=trip)] if room.held else []
    if room.held:
        return []
    if isinstance(reply, Accepted):
        return [RoomHeld(trip=trip, reference=reply.reference)]
    return [RoomRefused(trip=trip, code=reply.code)]


def evolve(_: Room, event: RoomEvent) -> Room:
    return Room(held=isinstance(event, RoomHeld))

"""The context `flights`: a seat that the airline holds, and the ticket for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never, get_args

from handrail.errors import OutOfOrder
from handrail.replies import Accepted
from trips.domain.messages import AskCompany, CompanyDeclined, TripEvent


@dataclass(frozen=True, kw_only=True)
class HoldSeat(AskCompany, context="flights"):
    flight: str


class ReleaseSeat(AskCompany, context="flights"): ...


class IssueTicket(AskCompany, context="flights"): ...


@dataclass(frozen=True, kw_only=True)
class SeatHeld(TripEvent, context="flights"):
    reference: str


class SeatRefused(CompanyDeclined, context="flights"): ...


class SeatReleased(TripEvent, context="flights"): ...


@dataclass(frozen=True, kw_only=True)
class TicketIssued(TripEvent, context="flights"):
    reference: str


SeatCommand = HoldSeat | ReleaseSeat | IssueTicket
SeatEvent = SeatHeld | SeatRefused | SeatReleased | TicketIssued
COMMANDS: tuple[type, ...] = get_args(SeatCommand)
EVENTS: tuple[type, ...] = get_args(SeatEvent)


@dataclass(frozen=True)
class Seat:
    held: bool = False
    ticketed: bool = False


def decide(command: SeatCommand, seat: Seat) -> Sequence[SeatEvent]:
    trip, reply = command.trip, command.known_reply
    match command:
        case HoldSeat():
            if seat.held:
                return []
            if isinstance(reply, Accepted):
                return [SeatHeld(trip=trip, reference=reply.reference)]
            return [SeatRefused(trip=trip, code=reply.code)]
        case ReleaseSeat():
            if seat.ticketed:
                raise OutOfOrder(f"the ticket of {trip} is issued")
            return [SeatReleased(trip=trip)] if seat.held else []
        case IssueTicket():
            if seat.ticketed:
                return []
            if isinstance(reply, Accepted):
                return [TicketIssued(trip=trip, reference=reply.reference)]
            raise OutOfOrder(f"the airline issues no ticket for {trip}: {reply.code}")
        case _:
            assert_never(command)


def evolve(_: Seat, event: SeatEvent) -> Seat:
    match event:
        case SeatHeld():
            return Seat(held=True)
        case SeatRefused() | SeatReleased():
            return Seat()
        case TicketIssued():
            return Seat(held=True, ticketed=True)
        case _:
            assert_never(event)

"""The activities of each context; airline and hotel are asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.activities.http_gateway import HttpGateway, wire_key
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.replies import Reply
from trips.domain import budgets, flights, hotels, requests
from trips.domain.messages import CompanyCommand

Activities = Mapping[str, Sequence[Callable[..., Any]]]


class Company:
    """An airline or a hotel: holds, closes a key for good, and confirms."""

    def __init__(self, http: HttpGateway) -> None:
        self._http = http

    async def close(self, *, key: str, subject: str, closes: str) -> Reply:
        body = {"trip": subject, "closes": wire_key(closes)}
        return await self._http.request("/cancellations", key=key, body=body)

    async def hold_seat(self, command: flights.HoldSeat, key: str) -> Reply:
        return await self._hold(command, key, command.flight)

    async def hold_room(self, command: hotels.HoldRoom, key: str) -> Reply:
        return await self._hold(command, key, command.hotel)

    async def issue_ticket(self, command: flights.IssueTicket, key: str) -> Reply:
        return await self._http.request("/tickets", key=key, body={"trip": command.trip})

    async def _hold(self, command: CompanyCommand, key: str, what: str) -> Reply:
        return await self._http.request(
            "/holds", key=key, body={"trip": command.trip, "what": what}
        )


def activities(store: EventStore, airline: Company, hotel: Company) -> Activities:
    trips = CommandHandler(
        store, single_stream("trip", requests.Trip(), _trip, requests.decide, requests.evolve)
    )
    team = CommandHandler(
        store, single_stream("budget", budgets.Budget(), _team, budgets.decide, budgets.evolve)
    )
    seats = RemoteSteps(
        store,
        single_stream("seat", flights.Seat(), _trip, flights.decide, flights.evolve),
        airline.close,
    )
    rooms = RemoteSteps(
        store,
        single_stream("room", hotels.Room(), _trip, hotels.decide, hotels.evolve),
        hotel.close,
    )
    return {
        "trips": [serve(command, trips.handle) for command in requests.COMMANDS],
        "flights": [
            *seats.compensatable(flights.HoldSeat, flights.ReleaseSeat, airline.hold_seat),
            *seats.retriable(flights.IssueTicket, airline.issue_ticket),
        ],
        "hotels": rooms.compensatable(hotels.HoldRoom, hotels.ReleaseRoom, hotel.hold_room),
        "budgets": [serve(command, team.handle) for command in budgets.COMMANDS],
    }


def _trip(message: Any) -> str:
    return str(message.trip)


def _team(message: Any) -> str:
    return str(message.team)

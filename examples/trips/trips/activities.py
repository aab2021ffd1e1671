"""The activities of each context; airline and hotel are asked over HTTP."""

from __future__ import annotations

from operator import attrgetter

from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.activities.http_company import HttpCompany
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.temporal.client import Activities
from trips.domain import budgets, flights, hotels, requests

_trip, _team = attrgetter("trip"), attrgetter("team")


def activities(store: EventStore, airline: HttpCompany, hotel: HttpCompany) -> Activities:
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
            *seats.compensatable(
                flights.HoldSeat,
                flights.ReleaseSeat,
                lambda asked, key: airline.hold(asked.trip, asked.flight, key),
            ),
            *seats.retriable(
                flights.IssueTicket, lambda asked, key: airline.confirm(asked.trip, key)
            ),
        ],
        "hotels": rooms.compensatable(
            hotels.HoldRoom,
            hotels.ReleaseRoom,
            lambda asked, key: hotel.hold(asked.trip, asked.hotel, key),
        ),
        "budgets": [serve(command, team.handle) for command in budgets.COMMANDS],
    }

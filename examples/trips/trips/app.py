"""The trips as Handrail runs them: the one list of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handrail.app import App, Context, OperatorCommand
from trips import book_trip, simulators, trip_board
from trips.access import ACCESS
from trips.domain import budgets, flights, hotels, requests
from trips.settings import TripSettings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.processes.worker import Resources
    from handrail.temporal.client import Activities


def _activities(resources: Resources) -> Activities:
    from handrail.activities.http_gateway import HttpGateway
    from trips.activities import Company, activities

    airline = HttpGateway(resources.outside, resources.settings.airline_url)
    hotel = HttpGateway(resources.outside, resources.settings.hotel_url)
    return activities(resources.store, Company(airline), Company(hotel))


def _routers() -> Sequence[APIRouter]:
    from trips.api import router

    return (router,)


TRIPS = App(
    contexts=(
        Context(name="trips", events=requests.EVENTS, commands=requests.COMMANDS),
        Context(name="flights", events=flights.EVENTS, commands=flights.COMMANDS),
        Context(name="hotels", events=hotels.EVENTS, commands=hotels.COMMANDS),
        Context(name="budgets", events=budgets.EVENTS, commands=budgets.COMMANDS),
    ),
    sagas=(book_trip.SAGA,),
    projections=(trip_board.PROJECTION,),
    activities=_activities,
    routers=_routers,
    access=ACCESS,
    tags={"trips": "Book trips, and look at them."},
    settings=TripSettings,
    simulators=(simulators.AIRLINE, simulators.HOTEL),
    operator_commands=(
        OperatorCommand(name="demo", at="trips.demo:demo", help="Book trips, and prove them."),
    ),
)

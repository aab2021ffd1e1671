"""The trips as Handrail runs it: the one list of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from handrail.app import App, Context, OperatorCommand
from handrail.console.declared import Console, EntityPage
from handrail.setting_types import HttpUrl, Unset
from handrail.settings import Settings
from handrail.simulators.simulator import Simulator
from trips import trip_board
from trips.access import ACCESS
from trips.domain import budgets, flights, hotels, requests

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.activities.resources import Resources
    from handrail.sagas.saga_type import SagaType
    from handrail.temporal.client import Activities


class TripSettings(Settings):
    airline_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the airline answers. Unset: a simulator."
    )
    hotel_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the hotel answers. Unset: a simulator."
    )


def _sagas() -> Sequence[SagaType[Any]]:
    from trips.book_trip import SAGA

    return (SAGA,)


def _activities(resources: Resources) -> Activities:
    from handrail.activities.http_company import HttpCompany
    from handrail.activities.http_gateway import HttpGateway
    from trips.activities import activities

    airline = HttpGateway(resources.outside, resources.settings.airline_url)
    hotel = HttpGateway(resources.outside, resources.settings.hotel_url)
    return activities(resources.store, HttpCompany(airline), HttpCompany(hotel))


def _routers() -> Sequence[APIRouter]:
    from trips.api import router

    return (router,)


def _company(ledger: Path | None, _: object) -> Any:
    from handrail.simulators.reservations import create_company

    return create_company(ledger)


AIRLINE = Simulator(
    name="airline", purpose="Simulate the airline.", create=_company, address="airline_url"
)
HOTEL = Simulator(name="hotel", purpose="Simulate the hotel.", create=_company, address="hotel_url")
TRIPS = App(
    contexts=(
        Context(name="trips", events=requests.EVENTS, commands=requests.COMMANDS),
        Context(name="flights", events=flights.EVENTS, commands=flights.COMMANDS),
        Context(name="hotels", events=hotels.EVENTS, commands=hotels.COMMANDS),
        Context(name="budgets", events=budgets.EVENTS, commands=budgets.COMMANDS),
    ),
    sagas=_sagas,
    projections=(trip_board.PROJECTION,),
    activities=_activities,
    routers=_routers,
    access=ACCESS,
    console=Console(entities=(EntityPage(name="trips", projection=trip_board.PROJECTION),)),
    tags={"trips": "Book trips, and look at them."},
    settings=TripSettings,
    simulators=(AIRLINE, HOTEL),
    operator_commands=(OperatorCommand(name="demo", at="trips.demo:demo", help="Book trips."),),
)

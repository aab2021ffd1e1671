"""Every failure at every step of the saga: what it leaves is whole, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from handrail.kernel import Money, TenantId
from handrail.testing import (
    Aggregate,
    business_of,
    case_of,
    sagas_through_every_failure,
)
from trips.app import TRIPS
from trips.book_trip import EXAMPLE, SAGA, BookTrip
from trips.domain import budgets, flights, hotels, requests
from trips.domain.messages import TripId


def a_trip() -> BookTrip:
    """So dear that a travel manager decides."""
    return replace(
        EXAMPLE, trip=TripId(f"trip-{uuid4().hex}"), team=TenantId(f"team-{uuid4().hex}")
    )


def _of(*fields: str) -> Any:
    """What of a state has an effect: these fields, where one of them is set."""

    def standing(state: dict[str, Any]) -> Any:
        found = {name: state[name] for name in fields if state[name]}
        return found or None

    return standing


AGGREGATES = {
    "trip": Aggregate(
        initial=requests.Trip(),
        evolve=requests.evolve,
        standing=_of("stands", "approval_asked", "invoiced"),
    ),
    "seat": Aggregate(
        initial=flights.Seat(), evolve=flights.evolve, standing=_of("held", "ticketed")
    ),
    "room": Aggregate(initial=hotels.Room(), evolve=hotels.evolve, standing=_of("held")),
    "budget": Aggregate(
        initial=budgets.Budget(), evolve=budgets.evolve, standing=_of("held", "spent", "free")
    ),
}
CASES = {
    "BookTrip": case_of(
        SAGA,
        inputs=a_trip,
        saga_id=SAGA.id,
        given=lambda trip: [budgets.GrantBudget(team=trip.team, amount=Money(5_000_00, "EUR"))],
        aggregates=AGGREGATES,
        refusals={
            "HoldSeat": lambda asked: replace(asked, flight="seat_declined"),
            "HoldRoom": lambda asked: replace(asked, hotel="room_declined"),
            "HoldMoney": lambda asked: replace(asked, amount=Money(9_000_00, "EUR")),
        },
    )
}
test_no_failure_leaves_a_trip_half_booked = sagas_through_every_failure(business_of(TRIPS), CASES)

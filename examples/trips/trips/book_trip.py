"""Book a trip: seat and room are held side by side, the money after them, and then it is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handrail.kernel import Money, TenantId
from handrail.sagas.definition import Parallel, Saga, Step
from handrail.sagas.saga_type import SagaType
from trips.domain.budgets import HoldMoney, ReleaseMoney, SpendMoney
from trips.domain.flights import HoldSeat, IssueTicket, ReleaseSeat
from trips.domain.hotels import HoldRoom, ReleaseRoom
from trips.domain.messages import TripId
from trips.domain.requests import (
    AbandonTrip,
    AskApproval,
    RequestTrip,
    SendInvoice,
    WithdrawApproval,
)

APPROVAL_ABOVE = 1_500_00
"""In minor units: a travel manager decides about a dearer trip."""
APPROVAL_WITHIN = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class BookTrip:
    trip: TripId
    team: TenantId
    flight: str
    hotel: str
    price: Money


def saga(t: BookTrip) -> Saga:
    request = Step(do=RequestTrip(**vars(t)), undo=AbandonTrip(trip=t.trip))
    seat = Step(do=HoldSeat(trip=t.trip, flight=t.flight), undo=ReleaseSeat(trip=t.trip))
    room = Step(do=HoldRoom(trip=t.trip, hotel=t.hotel), undo=ReleaseRoom(trip=t.trip))
    held = HoldMoney(trip=t.trip, team=t.team, amount=t.price)
    money = Step(do=held, undo=ReleaseMoney(**vars(held)))
    approval = Step(
        do=AskApproval(trip=t.trip),
        undo=WithdrawApproval(trip=t.trip),
        answered_within=APPROVAL_WITHIN,
    )
    return Saga(
        compensatable=[
            request,
            Parallel(seat, room),
            money,
            *([approval] if t.price.amount > APPROVAL_ABOVE else []),
        ],
        pivot=SpendMoney(**vars(held)),
        retriable=[IssueTicket(trip=t.trip), SendInvoice(trip=t.trip)],
    )


EXAMPLE = BookTrip(
    trip=TripId("trip-1"),
    team=TenantId("research"),
    flight="seat_ok",
    hotel="room_ok",
    price=Money(2_000_00, "EUR"),
)

SAGA = SagaType(
    name="BookTrip",
    purpose="Hold a seat and a room side by side, then the money, and make the trip.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda t: t.trip,
    summary=lambda t: f"{t.team}: {t.price}",
    tenant=lambda t: t.team,
    at_stake=lambda t: t.price,
)
BookTripWorkflow = SAGA.workflow

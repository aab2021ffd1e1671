"""The saga `BookTrip`: a seat and a room are held side by side, and confirmed, or neither is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handrail.sagas.definition import Parallel, Saga, Step
from handrail.sagas.saga_type import SagaType

from trips.contexts import approval, room, seat

ASKED_ABOVE = 4


@dataclass(frozen=True, kw_only=True)
class BookTrip:
    id: str
    quantity: int


def saga(trip: BookTrip) -> Saga:
    hold_seat = Step(do=seat.HoldSeat(**vars(trip)), undo=seat.ReleaseSeat(id=trip.id))
    hold_room = Step(do=room.HoldRoom(**vars(trip)), undo=room.ReleaseRoom(id=trip.id))
    approve = Step(
        do=approval.RequestApproval(**vars(trip)),
        undo=approval.AbandonApproval(id=trip.id),
        answered_within=timedelta(days=2),
    )
    return Saga(
        compensatable=[
            Parallel(hold_seat, hold_room),
            *([approve] if trip.quantity > ASKED_ABOVE else []),
        ],
        pivot=seat.ConfirmSeat(id=trip.id),
        retriable=[room.ConfirmRoom(id=trip.id), seat.AnnounceSeat(id=trip.id)],
    )


EXAMPLE = BookTrip(id="trip-1", quantity=5)

SAGA = SagaType(
    name="BookTrip",
    purpose="Hold a seat and a room side by side, have a large trip approved, confirm both.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda trip: trip.id,
    summary=lambda trip: f"for {trip.quantity}",
)
BookTripWorkflow = SAGA.workflow

from dataclasses import replace
from uuid import uuid4

from handrail.testing import Aggregate, business_of, case_of, sagas_through_every_failure

from trips.app import APP
from trips.contexts import approval, room, seat
from trips.sagas import book_trip


def an_input() -> book_trip.BookTrip:
    return replace(book_trip.EXAMPLE, id=f"trip-{uuid4().hex}")


CASES = {
    "BookTrip": case_of(
        book_trip.SAGA,
        inputs=an_input,
        aggregates={
            "seat": Aggregate(initial=seat.Seat(), evolve=seat.evolve),
            "room": Aggregate(initial=room.Room(), evolve=room.evolve),
            "approval": Aggregate(initial=approval.Approval(), evolve=approval.evolve),
        },
        refusals={
            "HoldSeat": lambda asked: replace(asked, quantity=seat.MOST + 1),
            "HoldRoom": lambda asked: replace(asked, quantity=room.MOST + 1),
        },
    ),
}
test_no_failure_leaves_a_saga_half_done = sagas_through_every_failure(business_of(APP), CASES)

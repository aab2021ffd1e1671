"""How each trip stands: the read model behind `GET /trips`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from handrail.projections.projection import Happened, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import columns_of, read_model
from trips.domain.requests import InvoiceSent, TripRequested


@dataclass(frozen=True, kw_only=True)
class TripRow:
    trip: str
    team: str
    status: str
    price: int
    currency: str
    updated_at: datetime


table = read_model("trip_board", *columns_of(TripRow))


def evolve(row: TripRow | None, happened: Happened) -> TripRow | None:
    at = happened.recorded_at
    match happened.event:
        case TripRequested() as trip:
            return TripRow(
                trip=trip.trip,
                team=trip.team,
                status="requested",
                price=trip.price.amount,
                currency=trip.price.currency,
                updated_at=at,
            )
        case InvoiceSent():
            return replace(begun(row, happened), status="invoiced", updated_at=at)
        case _:
            return row


PROJECTION = Projection(
    name="trip_board",
    version=1,
    row=TripRow,
    table=table,
    categories=("trip",),
    handles=(TripRequested, InvoiceSent),
    evolve=evolve,
)

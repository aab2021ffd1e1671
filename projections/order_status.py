"""How an order stands.

    placed ─▶ approved ─▶ confirmed ─▶ completed ─▶ returned
      └──────────┴─▶ refused | cancelled | failed

`approved` is the answer the customer waited for; `confirmed` says that ordering took note of it.
`completed`: the customer has it. `returned`: all of it came back; what came back in part stays what
it was, and what was lost on its way is returned without being completed.
`refused`: a context said no. `cancelled`: the customer did. `failed`: a technical failure before
the point of no return. These three are ends, unless the same order is placed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, assert_never

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.credit import events as credit
from domain.inventory import events as inventory
from domain.ordering import events as ordering
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    ReturnAccepted,
    ReturnCompleted,
    ReturnWithdrawn,
)
from domain.payments import events as payments
from domain.payments.events import (
    CaptureDeclined,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from domain.settlement import events as settlement
from domain.shipping import events as shipping
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from handrail.access.principal import Visibility
from handrail.access.row_owner import RowOwner
from handrail.kernel import Event, Refusal
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.own_rows import own_rows
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Happened, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import index, read_model
from handrail.sagas.events import SagaDecided, SagaEnded

Status = Literal[
    "placed",
    "approved",
    "confirmed",
    "completed",
    "returned",
    "refused",
    "cancelled",
    "failed",
]
ENDED: Final[frozenset[Status]] = frozenset({"refused", "cancelled", "failed"})
_REFUSALS: Final = frozenset(
    event.__name__
    for context in (ordering, inventory, credit, payments, shipping, settlement)
    for event in context.EVENTS
    if issubclass(event, Refusal)
)


@dataclass(frozen=True, kw_only=True)
class OrderStatus:
    """Amounts are minor units of `currency`.

    `because` is empty, or names what turned the order back: a refusal, `cancelled`, or a cause.
    `returned` is the value of the returns that were completed.
    """

    order: str
    customer: str
    merchant: str
    status: Status
    total: int
    down_payment: int
    currency: str
    instalments: int
    lines: Sequence[Mapping[str, Any]]
    because: str = ""
    reason: str = ""
    payment: str = "none"
    shipment: str = "none"
    booking: str = ""
    returns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    returned: int = 0
    placed_at: datetime
    updated_at: datetime
    position: int


table = read_model(
    "order_status",
    Column("order", Text, primary_key=True),
    Column("customer", Text, nullable=False),
    Column("merchant", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("down_payment", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("instalments", Integer, nullable=False),
    # a list of: sku, quantity, unit_price in minor units of `currency`
    Column("lines", JSONB, nullable=False),
    Column("because", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # none | authorised | captured | declined | voided | refunded
    Column("payment", Text, nullable=False),
    # none | booked | declined | cancelled | dispatched | delivered | lost
    Column("shipment", Text, nullable=False),
    Column("booking", Text, nullable=False),
    # by return id: state (accepted | withdrawn | completed), why, value in minor units of
    # `currency`, lines (a list of: sku, quantity), accepted_at
    Column("returns", JSONB, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
    index("order_status", "placed_at", "order"),
    index("order_status", "customer", "placed_at", "order"),
    index("order_status", "merchant", "placed_at", "order"),
    index("order_status", "status", "placed_at", "order"),
)


def evolve(  # noqa: PLR0911  # one arm an event
    row: OrderStatus | None, happened: Happened
) -> OrderStatus | None:
    match happened.event:
        case OrderPlaced() as placed:
            return _seen(_placed(row, placed, happened), happened)
        case SagaDecided() | SagaEnded() if row is None:
            return None  # the saga turned back before there was an order
        case _:
            row = _seen(begun(row, happened), happened)
    match happened.event:
        case OrderConfirmed():
            return row if row.status in ENDED else replace(row, status="confirmed")
        case OrderRejected():
            return row if row.status in ENDED else replace(row, status="refused")
        case OrderCompleted():
            return replace(row, status="completed")
        case ReturnAccepted() | ReturnWithdrawn() | ReturnCompleted() as came_back:
            return _came_back(row, came_back)
        case SagaDecided() | SagaEnded() as ended:
            return _status_after(row, ended)
        case ShipmentBooked(booking=booking):
            return replace(row, shipment="booked", booking=booking)
        case event if type(event) in _SHIPMENT:
            return replace(row, shipment=_SHIPMENT[type(event)])
        case event:
            return replace(row, payment=_PAYMENT[type(event)])


def _status_after(row: OrderStatus, ended: SagaDecided | SagaEnded) -> OrderStatus:
    match ended:
        case SagaDecided(approved=True):
            return replace(row, status="approved") if row.status == "placed" else row
        case SagaEnded(ending="completed"):
            return row
        case _:
            status = _turned_back(ended.because)
            return replace(row, status=status, because=ended.because, reason=ended.reason)


def _came_back(
    row: OrderStatus, event: ReturnAccepted | ReturnWithdrawn | ReturnCompleted
) -> OrderStatus:
    name = event.return_id
    match event:
        case ReturnAccepted(why=why, value=value, lines=lines):
            accepted = {
                "state": "accepted",
                "why": why,
                "value": value.amount,
                "lines": [{"sku": line.sku, "quantity": line.quantity} for line in lines],
                "accepted_at": event.accepted_at.isoformat(),
            }
            return replace(row, returns={**row.returns, name: accepted})
        case ReturnWithdrawn():
            withdrawn = {**row.returns[name], "state": "withdrawn"}
            return replace(row, returns={**row.returns, name: withdrawn})
        case ReturnCompleted(everything=everything):
            completed = {**row.returns[name], "state": "completed"}
            return replace(
                row,
                status="returned" if everything else row.status,
                returns={**row.returns, name: completed},
                returned=row.returned + completed["value"],
            )
        case _:
            assert_never(event)


_SHIPMENT: Final[Mapping[type[Event], str]] = {
    ShipmentDeclined: "declined",
    ShipmentCancelled: "cancelled",
    ShipmentDispatched: "dispatched",
    ShipmentDelivered: "delivered",
    ShipmentLost: "lost",
}
_PAYMENT: Final[Mapping[type[Event], str]] = {
    PaymentAuthorised: "authorised",
    PaymentDeclined: "declined",
    PaymentVoided: "voided",
    PaymentCaptured: "captured",
    CaptureDeclined: "authorised",
    PaymentRefunded: "refunded",
}


def _placed(row: OrderStatus | None, placed: OrderPlaced, happened: Happened) -> OrderStatus:
    """Placed again after a refusal it is another try; what bank and carrier did stays true."""
    return OrderStatus(
        order=placed.order,
        customer=placed.customer,
        merchant=placed.merchant,
        status="placed",
        total=placed.total.amount,
        down_payment=placed.down_payment.amount,
        currency=placed.total.currency,
        instalments=placed.instalments,
        lines=[
            {"sku": line.sku, "quantity": line.quantity, "unit_price": line.unit_price.amount}
            for line in placed.lines
        ],
        payment=row.payment if row else "none",
        shipment=row.shipment if row else "none",
        booking=row.booking if row else "",
        placed_at=placed.placed_at,
        updated_at=row.updated_at if row else happened.recorded_at,
        position=row.position if row else happened.position,
    )


def _seen(row: OrderStatus, happened: Happened) -> OrderStatus:
    return replace(
        row,
        updated_at=max(row.updated_at, happened.recorded_at),
        position=max(row.position, happened.position),
    )


def _turned_back(because: str) -> Status:
    if because == "cancelled":
        return "cancelled"
    return "refused" if because in _REFUSALS else "failed"


PROJECTION = Projection(
    name="order_status",
    version=3,
    row=OrderStatus,
    table=table,
    categories=("order", "payment", "shipment", "saga"),
    handles=(
        OrderPlaced,
        OrderConfirmed,
        OrderRejected,
        OrderCompleted,
        ReturnAccepted,
        ReturnWithdrawn,
        ReturnCompleted,
        *_PAYMENT,
        ShipmentBooked,
        *_SHIPMENT,
        SagaDecided,
        SagaEnded,
    ),
    evolve=evolve,
    begins="placed_at",
    owner=RowOwner(tenant="merchant", party="customer"),
)


async def order(connection: AsyncConnection, order: str) -> OrderStatus | None:
    return await one_of(connection, select(table).where(table.c.order == order), OrderStatus)


async def orders(
    connection: AsyncConnection,
    *,
    visible: Visibility,
    customer: str | None = None,
    merchant: str | None = None,
    status: Status | None = None,
    after: After | None = None,
    limit: int = 50,
) -> Slice[OrderStatus]:
    """Newest first, of those that are `visible`; `after` is (placed_at, order)."""
    wanted = {"customer": customer, "merchant": merchant, "status": status}
    query = select(table).where(
        *own_rows(visible, PROJECTION.owner, table),
        *(table.c[name] == value for name, value in wanted.items() if value is not None),
    )
    by = (table.c.placed_at, table.c.order)
    return await slice_of(
        connection, query, OrderStatus, by=by, after=after, limit=limit, newest_first=True
    )


def list_of(where: Mapping[str, Any]) -> PastList[OrderStatus]:
    """What `orders` lists, as of a moment."""
    return PastList(PROJECTION, ("placed_at", "order"), where, newest_first=True)


async def counts(connection: AsyncConnection) -> Mapping[str, int]:
    """How many orders stand how. It counts them, so ask it a few times a minute at most."""
    found = await connection.execute(
        select(table.c.status, func.count()).group_by(table.c.status).order_by(table.c.status)
    )
    return {status: count for status, count in found}  # noqa: C416  # rows are not pairs to mypy

"""Orders: look at them, take one back. They are placed in `placing.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.returns import Returning, return_everything
from handrail.http.access import needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, EffectiveAt, Services, ServicesDep
from handrail.http.idempotency import OptionalKey
from handrail.http.pagination import BY_TIME, PastPageQuery, RowPage, position, row_page
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Id, Links, Money, Why, of_row
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.kernel import Attribution
from projections import order_status
from projections.order_status import OrderStatus, Status

router = APIRouter(tags=["orders"])

_OF_AN_ORDER: Final = ("Checkout",)
"""The type of the workflow that has the order's id."""


class Line(BaseModel):
    sku: str
    quantity: int
    unit_price: Money


class ReturnedLine(BaseModel):
    sku: str
    quantity: int


class Return(BaseModel):
    return_id: str
    state: Literal["accepted", "withdrawn", "completed"]
    why: Literal["returned", "lost"]
    value: Money
    lines: list[ReturnedLine]
    accepted_at: datetime


class Order(BaseModel):
    order: str
    customer: str
    merchant: str
    status: Status
    total: Money
    down_payment: Money
    instalments: int
    lines: list[Line]
    because: str
    reason: str
    payment: str
    shipment: str
    booking: str
    returned: Money = Field(description="The value of the returns that were completed.")
    returns: list[Return]
    placed_at: datetime
    updated_at: datetime
    links: Links


class CancelOrder(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "the customer changed their mind"}]}
    )


class Cancelling(BaseModel):
    order: str
    saga: str
    status: Literal["cancelling"] = "cancelling"
    links: Links


class OrdersQuery(PastPageQuery):
    customer: Id | None = None
    merchant: Id | None = None
    status: Status | None = None


@router.get(
    "/orders",
    summary="List orders, newest first",
    dependencies=[needs("orders:read", own_rows=True)],
    responses=responses("history-too-long", "moment-lost", "moment-said-twice"),
)
async def list_orders(
    services: ServicesDep,
    fresh: FreshnessDep,
    response: Response,
    query: Annotated[OrdersQuery, Query()],
) -> RowPage[Order]:
    after = position("/orders", query, BY_TIME)
    where = query.where("customer", "merchant", "status")
    found, parked = await fresh.slice(
        order_status.list_of(where),
        query,
        after,
        lambda connection: order_status.orders(
            connection, visible=services.database.visible, after=after, limit=query.limit, **where
        ),
    )
    items = [_order(services, row) for row in found.rows]
    return row_page(items, found.next, "/orders", query, response, parked=parked)


@router.get(
    "/orders/{order}",
    summary="How an order stands",
    dependencies=[needs("orders:read")],
    responses=responses("not-found"),
)
async def show_order(
    services: ServicesDep,
    fresh: FreshnessDep,
    order: Id,
    as_of: AsOf = None,
    effective_at: EffectiveAt = None,
) -> Order:
    """An order appears when it is placed, a moment after its saga has begun. Until then the answer
    is 503 with Retry-After while the saga runs, and 404 otherwise.
    """
    row = await fresh.row(
        order_status.PROJECTION,
        order,
        lambda connection: order_status.order(connection, order),
        as_of,
        effective_at,
    )
    if row is None:
        if (
            as_of is None
            and effective_at is None
            and await services.processes.is_running(order, of=_OF_AN_ORDER)
        ):
            message = f"{order} has begun and is not placed yet"
            raise Problem("read-model-behind", message, retry_after=1)
        raise Problem("not-found", f"there is no order {order}")
    return _order(services, row)


@router.post(
    "/orders/{order}/cancellation",
    status_code=202,
    summary="Cancel an order",
    dependencies=[needs("orders:write"), *JSON_BODY],
    responses=responses(
        "not-found",
        "too-late",
        "saga-ended",
        "out-of-order",
        "content-differs",
        "database-unavailable",
        *UNAVAILABLE,
    ),
)
async def cancel(
    services: ServicesDep, actor: ActorDep, key: OptionalKey, order: Id, asked: CancelOrder
) -> Cancelling | Returning:
    """Takes everything back, until the payment is being taken. What the customer has is returned
    instead, all that is left of it. Asked twice, it is done once.
    """
    who = asked.by(actor)
    try:
        wish = Attribution(actor=who, reason=asked.reason)
        await services.processes.cancel(order, wish, of=_OF_AN_ORDER)
    except Problem as problem:
        if problem.slug not in {"too-late", "saga-ended"}:
            raise
        return await return_everything(
            services, order, key=key, actor=who, reason=asked.reason, too_late=problem
        )
    return Cancelling(order=order, saga=order, links=services.links(order))


def _order(services: Services, row: OrderStatus) -> Order:
    def money(amount: int) -> Money:
        return Money.of(amount, row.currency)

    return of_row(
        Order,
        row,
        lines=[Line(**{**one, "unit_price": money(one["unit_price"])}) for one in row.lines],
        returns=[
            Return(**{**one, "return_id": return_id, "value": money(one["value"])})
            for return_id, one in row.returns.items()
        ],
        links={
            **services.links(row.order),
            "customer": f"/customers/{row.customer}",
            "merchant": f"/merchants/{row.merchant}/balance",
        },
    )

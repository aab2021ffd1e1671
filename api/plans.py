"""Instalment plans: what is still to be paid for an order, paid at once, or due on another day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Literal, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Reference
from api.shop_processes import ShopProcesses, ShopProcessesDep
from domain.bounds import INSTALMENT_NUMBER, wrong_due_date
from domain.identifiers import CustomerId, MerchantId, OrderId
from handrail.http.access import needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, Services, ServicesDep
from handrail.http.idempotency import OptionalKey
from handrail.http.pagination import BY_TIME, PastPageQuery, RowPage, position, row_page
from handrail.http.problems import Problem, at, responses
from handrail.http.schemas import (
    ActorInstead,
    Asked,
    Day,
    Id,
    Links,
    Money,
    of_row,
    whole,
)
from handrail.http.temporal_errors import UNAVAILABLE
from projections import instalment_plan, order_status
from projections.instalment_plan import InstalmentPlan
from workflows.dunning import Terms
from workflows.plan_collection import CollectInstalments
from workflows.plan_wishes import NewDate, PayAllNow

router = APIRouter(tags=["orders"])

T = TypeVar("T")

Status = Literal["open", "settled", "written_off"]


class Instalment(BaseModel):
    number: int
    due: date
    status: Literal["due", "collected", "cancelled"]
    amount: Money = Field(description="What is still to be paid by it, without fees.")
    fees: Money
    paid: Money
    missed: int = Field(description="How often it was asked for in vain.")


class Adjustment(BaseModel):
    return_id: str
    value: Money
    absorbed: Money = Field(description="What of the value is no longer due.")
    refund: Money = Field(description="What of the value is paid back.")
    refunded: bool


class Plan(BaseModel):
    order: str
    customer: str
    status: Status
    financed: Money
    outstanding: Money = Field(description="What is still to be paid, without fees.")
    fees: Money
    paid: Money
    paid_fees: Money
    written_off: Money
    next_due: date | None
    instalments: list[Instalment]
    adjustments: list[Adjustment]
    opened_at: datetime
    updated_at: datetime
    links: Links


class PayAll(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"card": "card_ok"}]})

    card: Reference | None = Field(default=None, description="Instead of the card of the plan.")
    actor: ActorInstead = None


class Move(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"number": 2, "due": "2027-03-31"}]})

    number: Annotated[int, whole(INSTALMENT_NUMBER)]
    due: Day
    actor: ActorInstead = None


class Settling(BaseModel):
    """It is being paid; how that stands is under `saga`."""

    order: str
    saga: str
    links: Links


class Moved(BaseModel):
    order: str
    number: int
    due: date
    links: Links


class PlansQuery(PastPageQuery):
    customer: Id | None = None
    status: Status | None = None


@router.get(
    "/plans",
    summary="List instalment plans, newest first",
    dependencies=[needs("plans:read", own_rows=True)],
    responses=responses("history-too-long", "moment-lost", "moment-said-twice"),
)
async def list_plans(
    services: ServicesDep,
    fresh: FreshnessDep,
    response: Response,
    query: Annotated[PlansQuery, Query()],
) -> RowPage[Plan]:
    after = position("/plans", query, BY_TIME)
    where = query.where("customer", "status")
    found, parked = await fresh.slice(
        instalment_plan.list_of(where),
        query,
        after,
        lambda connection: instalment_plan.plans(
            connection, visible=services.database.visible, after=after, limit=query.limit, **where
        ),
    )
    items = [_plan(services, row) for row in found.rows]
    return row_page(items, found.next, "/plans", query, response, parked=parked)


@router.get(
    "/orders/{order}/plan",
    summary="What is still to be paid for an order, and when",
    dependencies=[needs("plans:read")],
    responses=responses("not-found"),
)
async def show_plan(
    services: ServicesDep, fresh: FreshnessDep, order: Id, as_of: AsOf = None
) -> Plan:
    """There is one as soon as the order stands."""
    row = await fresh.row(
        instalment_plan.PROJECTION,
        order,
        lambda connection: instalment_plan.plan(connection, order),
        as_of,
    )
    if row is None:
        raise Problem("not-found", f"there is no plan of {order}")
    return _plan(services, row)


@router.post(
    "/orders/{order}/plan/settlement",
    status_code=202,
    summary="Pay at once all that is left",
    dependencies=[needs("plans:write"), *JSON_BODY],
    responses=responses(
        "not-found", "out-of-order", "saga-ended", "database-unavailable", *UNAVAILABLE
    ),
)
async def settle(
    *,
    services: ServicesDep,
    processes: ShopProcessesDep,
    actor: ActorDep,
    key: OptionalKey,
    response: Response,
    order: Id,
    asked: PayAll,
) -> Settling:
    """Fees included. Where the card is declined, the plan goes on as it was. Not while an
    instalment is being collected.
    """
    wish = PayAllNow(actor=actor.instead(asked.actor), card=asked.card or "")
    told = partial(processes.settle_early, order, wish, key)
    saga = await _told(services, processes, order, actor, told)
    response.headers["Location"] = f"/sagas/{saga}"
    links = {**services.links(saga), **_links(order)}
    return Settling(order=order, saga=saga, links=links)


@router.post(
    "/orders/{order}/plan/reschedule",
    summary="Have one instalment due on another day",
    dependencies=[needs("plans:write"), *JSON_BODY],
    responses=responses(
        "not-found", "out-of-order", "saga-ended", "database-unavailable", *UNAVAILABLE
    ),
)
async def reschedule(
    *,
    services: ServicesDep,
    processes: ShopProcessesDep,
    actor: ActorDep,
    key: OptionalKey,
    order: Id,
    asked: Move,
) -> Moved:
    """No other instalment moves. Not into the past, and not before the instalment that precedes
    it. An instalment that was missed is asked for on the new day.
    """
    today = datetime.now(UTC).date()
    # What is in the past, the plan says itself.
    if asked.due > today and (message := wrong_due_date(asked.due, today)):
        raise Problem("invalid-request", f"#/due: {message}", [at("#/due", message)])
    # Without a key each is a wish of its own: moved there, and back, and there again.
    wish = NewDate(
        id=f"{key or uuid4().hex}-{asked.number}-{asked.due}",
        number=asked.number,
        due=asked.due,
        actor=actor.instead(asked.actor),
    )
    told = partial(processes.reschedule, order, wish)
    await _told(services, processes, order, actor, told)
    return Moved(order=order, number=asked.number, due=asked.due, links=_links(order))


async def _told(
    services: Services,
    processes: ShopProcesses,
    order: str,
    actor: str,
    tell: Callable[[], Awaitable[T]],
) -> T:
    """What the process that collects the plan answers; it is begun anew where the plan is open, and
    its process has ended all the same.
    """
    try:
        return await tell()
    except Problem as problem:
        if problem.slug != "saga-ended" or not (
            open_ := await _open_plan(services, order, processes.terms)
        ):
            raise
    await processes.collect(open_, actor)
    return await tell()


async def _open_plan(services: Services, order: str, terms: Terms) -> CollectInstalments | None:
    async with services.database.connection() as connection:
        plan = await instalment_plan.plan(connection, order)
        bought = await order_status.order(connection, order)
    if plan is None or bought is None or plan.status != "open":
        return None
    return CollectInstalments(
        order=OrderId(order),
        customer=CustomerId(plan.customer),
        merchant=MerchantId(bought.merchant),
        terms=terms,
    )


def _links(order: str) -> Links:
    return {"order": f"/orders/{order}", "plan": f"/orders/{order}/plan"}


def _plan(services: Services, row: InstalmentPlan) -> Plan:
    def money(amount: int) -> Money:
        return Money.of(amount, row.currency)

    return of_row(
        Plan,
        row,
        instalments=[
            Instalment(**{**one, **{name: money(one[name]) for name in ("amount", "fees", "paid")}})
            for one in row.schedule
        ],
        adjustments=[
            Adjustment(
                return_id=return_id,
                **{name: money(one[name]) for name in ("value", "absorbed", "refund")},
                refunded=one["refunded"],
            )
            for return_id, one in row.adjustments.items()
        ],
        links={
            **_links(row.order),
            "customer": f"/customers/{row.customer}",
            "settlement": f"/orders/{row.order}/plan/settlement",
            "reschedule": f"/orders/{row.order}/plan/reschedule",
            **services.in_temporal_ui(f"plan-{row.order}"),
        },
    )

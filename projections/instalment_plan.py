"""What is still to be paid for an order, when, and what became of each instalment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    LateFeeCharged,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from handrail.access.principal import Visibility
from handrail.access.row_owner import RowOwner
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.own_rows import own_rows
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import index, read_model

Item = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class InstalmentPlan:
    """Amounts are minor units of `currency`; all but `fees` and `paid_fees` are principal.

    `fees` are those of the instalments that are due, and `missed` counts how often one of these
    could not be collected. `next_due` is None when nothing is due.
    """

    order: str
    customer: str
    merchant: str = ""
    status: str = "open"
    currency: str
    financed: int
    outstanding: int = 0
    fees: int = 0
    paid: int = 0
    paid_fees: int = 0
    written_off: int = 0
    next_due: date | None = None
    missed: int = 0
    schedule: Sequence[Item]
    adjustments: Mapping[str, Item] = field(default_factory=dict)
    opened_at: datetime
    updated_at: datetime


table = read_model(
    "instalment_plan",
    Column("order", Text, primary_key=True),
    Column("customer", Text, nullable=False),
    # the one that the order is of, as the step's metadata says; empty where none is known
    Column("merchant", Text, nullable=False),
    # open | settled | written_off
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("financed", BigInteger, nullable=False),
    Column("outstanding", BigInteger, nullable=False),
    Column("fees", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("paid_fees", BigInteger, nullable=False),
    Column("written_off", BigInteger, nullable=False),
    Column("next_due", Date),
    Column("missed", Integer, nullable=False),
    # a list of: number, due, status (due | collected | cancelled), amount and fees that are still
    # to be paid, paid, missed
    Column("schedule", JSONB, nullable=False),
    # by return: value, absorbed, refund, refunded
    Column("adjustments", JSONB, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    index("instalment_plan", "opened_at", "order"),
    index("instalment_plan", "customer", "opened_at", "order"),
    index("instalment_plan", "merchant", "opened_at", "order"),
    index("instalment_plan", "status", "opened_at", "order"),
    index("instalment_plan", "next_due", "order"),
)


def evolve(row: InstalmentPlan | None, happened: Happened) -> InstalmentPlan:
    if isinstance(happened.event, PlanOpened):
        return _figures(_opened(happened.event, happened))
    row = replace(begun(row, happened), updated_at=happened.recorded_at)
    match happened.event:
        case PlanAdjusted() | AdjustmentReverted() | RefundPaid() as event:
            return _figures(_returned(row, event))
        case event:
            return _figures(_paying(row, event))


def _paying(row: InstalmentPlan, event: object) -> InstalmentPlan:
    match event:
        case InstalmentCollected(number=number, principal=principal, fees=fees):
            row = replace(row, paid=row.paid + principal.amount)
            row = replace(row, paid_fees=row.paid_fees + fees.amount)
            return _changed(row, number, _collected(_item(row, number)))
        case InstalmentMissed(number=number):
            return _changed(row, number, {"missed": _item(row, number)["missed"] + 1})
        case LateFeeCharged(number=number, fee=fee):
            return _changed(row, number, {"fees": _item(row, number)["fees"] + fee.amount})
        case InstalmentRescheduled(number=number, due=due):
            return _changed(row, number, {"due": due.isoformat()})
        case PlanSettled(principal=principal, fees=fees):
            row = replace(row, paid=row.paid + principal.amount)
            row = replace(row, paid_fees=row.paid_fees + fees.amount)
            for item in _due(row):
                row = _changed(row, item["number"], _collected(item))
            return row
        case PlanWrittenOff(principal=principal):
            for item in _due(row):
                cancelled = {"status": "cancelled", "amount": 0, "fees": 0}
                row = _changed(row, item["number"], cancelled)
            return replace(
                row, status="written_off", written_off=row.written_off + principal.amount
            )
        case other:
            raise OutOfPlace(type(other).__name__)


def _returned(
    row: InstalmentPlan, event: PlanAdjusted | AdjustmentReverted | RefundPaid
) -> InstalmentPlan:
    match event:
        case PlanAdjusted(reductions=reductions):
            for reduction in reductions:
                left = _item(row, reduction.number)["amount"] - reduction.amount.amount
                status = "due" if left else "cancelled"
                row = _changed(row, reduction.number, {"amount": left, "status": status})
            return _adjustment(row, event.return_id, _adjusted(event))
        case AdjustmentReverted(instalments=instalments):
            for planned in instalments:
                back = {"status": "due", "amount": planned.amount.amount}
                row = _changed(_with(row, planned), planned.number, back)
            return _adjustment(row, event.return_id, None)
        case RefundPaid(return_id=return_id):
            return _adjustment(row, return_id, {**row.adjustments[return_id], "refunded": True})


def _opened(event: PlanOpened, happened: Happened) -> InstalmentPlan:
    return InstalmentPlan(
        order=event.order,
        customer=event.customer,
        merchant=str(happened.metadata.get("merchant") or ""),
        currency=event.instalments[0].amount.currency,
        financed=sum(one.amount.amount for one in event.instalments),
        schedule=[_planned(instalment) for instalment in event.instalments],
        opened_at=happened.recorded_at,
        updated_at=happened.recorded_at,
    )


def _planned(one: PlannedInstalment) -> Item:
    return {
        "number": one.number,
        "due": one.due.isoformat(),
        "status": "due",
        "amount": one.amount.amount,
        "fees": 0,
        "paid": 0,
        "missed": 0,
    }


def _collected(item: Item) -> Item:
    return {"status": "collected", "paid": item["amount"], "amount": 0, "fees": 0}


def _adjusted(event: PlanAdjusted) -> Item:
    return {
        "value": event.value.amount,
        "absorbed": event.absorbed.amount,
        "refund": event.refund.amount,
        "refunded": False,
    }


def _with(row: InstalmentPlan, planned: PlannedInstalment) -> InstalmentPlan:
    """A reverted adjustment may come back as an instalment that was not there before."""
    if any(item["number"] == planned.number for item in row.schedule):
        return row
    return replace(row, schedule=[*row.schedule, _planned(planned)])


def _changed(row: InstalmentPlan, number: int, change: Item) -> InstalmentPlan:
    schedule = [{**item, **change} if item["number"] == number else item for item in row.schedule]
    return replace(row, schedule=schedule)


def _adjustment(row: InstalmentPlan, return_id: str, now: Item | None) -> InstalmentPlan:
    others = {one: known for one, known in row.adjustments.items() if one != return_id}
    return replace(row, adjustments=others if now is None else {**others, return_id: now})


def _item(row: InstalmentPlan, number: int) -> Item:
    return next(item for item in row.schedule if item["number"] == number)


def _due(row: InstalmentPlan) -> Sequence[Item]:
    return [item for item in row.schedule if item["status"] == "due"]


def _figures(row: InstalmentPlan) -> InstalmentPlan:
    due = _due(row)
    ended = row.status if row.status == "written_off" else "settled"
    return replace(
        row,
        status="open" if due else ended,
        outstanding=sum(item["amount"] for item in due),
        fees=sum(item["fees"] for item in due),
        missed=sum(item["missed"] for item in due),
        next_due=min((date.fromisoformat(item["due"]) for item in due), default=None),
    )


PROJECTION: Final = Projection(
    name="instalment_plan",
    version=3,
    row=InstalmentPlan,
    table=table,
    categories=("plan",),
    handles=(
        PlanOpened,
        InstalmentCollected,
        InstalmentMissed,
        LateFeeCharged,
        InstalmentRescheduled,
        PlanSettled,
        PlanWrittenOff,
        PlanAdjusted,
        AdjustmentReverted,
        RefundPaid,
    ),
    evolve=evolve,
    begins="opened_at",
    owner=RowOwner(tenant="merchant", party="customer"),
)


async def plan(connection: AsyncConnection, order: str) -> InstalmentPlan | None:
    query = select(table).where(table.c.order == order)
    return await one_of(connection, query, InstalmentPlan)


async def plans(
    connection: AsyncConnection,
    *,
    visible: Visibility,
    customer: str | None = None,
    status: str | None = None,
    after: After | None = None,
    limit: int = 50,
) -> Slice[InstalmentPlan]:
    """Newest first, of those that are `visible`; `after` is (opened_at, order)."""
    query = select(table).where(*own_rows(visible, PROJECTION.owner, table))
    for column, wanted in ((table.c.customer, customer), (table.c.status, status)):
        if wanted is not None:
            query = query.where(column == wanted)
    by = (table.c.opened_at, table.c.order)
    return await slice_of(
        connection, query, InstalmentPlan, by=by, after=after, limit=limit, newest_first=True
    )


def list_of(where: Mapping[str, Any]) -> PastList[InstalmentPlan]:
    """What `plans` lists, as of a moment."""
    return PastList(PROJECTION, ("opened_at", "order"), where, newest_first=True)


async def overdue(
    connection: AsyncConnection,
    today: date,
    *,
    customer: str | None = None,
    after: After | None = None,
    limit: int = 50,
) -> Slice[InstalmentPlan]:
    """Plans with an instalment that was due before `today`, the longest overdue first.

    `after` is (next_due, order).
    """
    query = select(table).where(table.c.next_due < today)
    if customer is not None:
        query = query.where(table.c.customer == customer)
    by = (table.c.next_due, table.c.order)
    return await slice_of(connection, query, InstalmentPlan, by=by, after=after, limit=limit)

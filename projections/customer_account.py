"""What a customer may still spend, and for which orders credit is held or owed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
    LimitAssigned,
)
from handrail.access.row_owner import RowOwner
from handrail.kernel import Money
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import read_model

Open = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class CustomerAccount:
    """Amounts are minor units of `currency`, which is empty until a limit was assigned.

    `written_off` is the sum of all debts that were lost.
    """

    customer: str
    currency: str = ""
    limit: int = 0
    held: int = 0
    used: int = 0
    written_off: int = 0
    orders: Open = field(default_factory=dict)
    last_refusal: Mapping[str, Any] | None = None
    updated_at: datetime

    @property
    def available(self) -> int:
        """Negative after the limit was lowered below what is held and used."""
        return self.limit - self.held - self.used


table = read_model(
    "customer_account",
    Column("customer", Text, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("written_off", BigInteger, nullable=False),
    # what is held and owed for each order that is open
    Column("orders", JSONB, nullable=False),
    # the newest one: order, amount, missing, currency, reason, at
    Column("last_refusal", JSONB(none_as_null=True)),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)


def evolve(row: CustomerAccount | None, happened: Happened) -> CustomerAccount:
    match happened.event:
        case LimitAssigned(limit=limit, held=held, used=used):
            row = replace(_row(row, happened), limit=limit.amount, currency=limit.currency)
            return _figures(row, held, used)
        case CreditRefused() as refused:
            return replace(_row(row, happened), last_refusal=_refusal(refused, happened))
        case _:
            return _spent(_row(begun(row, happened), happened), happened)


def _spent(row: CustomerAccount, happened: Happened) -> CustomerAccount:
    match happened.event:
        case CreditHeld(order=order, amount=amount, held=held, used=used):
            return _figures(_open(row, order, held=amount.amount), held, used)
        case CreditReleased(order=order, held=held, used=used):
            return _figures(_open(row, order), held, used)
        case CreditConsumed(order=order, amount=amount, held=held, used=used):
            return _figures(_open(row, order, owed=amount.amount), held, used)
        case CreditRestored(order=order, amount=amount, held=held, used=used):
            owed = row.orders[order]["owed"] - amount.amount
            return _figures(_open(row, order, owed=owed), held, used)
        case DebtWrittenOff(order=order, amount=amount, limit=limit, held=held, used=used):
            written_off = row.written_off + amount.amount
            row = replace(row, limit=limit.amount, written_off=written_off)
            return _figures(_open(row, order), held, used)
        case other:
            raise OutOfPlace(type(other).__name__)


def _row(row: CustomerAccount | None, happened: Happened) -> CustomerAccount:
    if row is None:
        return CustomerAccount(customer=happened.id, updated_at=happened.recorded_at)
    return replace(row, updated_at=happened.recorded_at)


def _figures(row: CustomerAccount, held: Money, used: Money) -> CustomerAccount:
    return replace(row, held=held.amount, used=used.amount)


def _open(row: CustomerAccount, order: str, *, held: int = 0, owed: int = 0) -> CustomerAccount:
    others = {one: amounts for one, amounts in row.orders.items() if one != order}
    this = {order: {"held": held, "owed": owed}} if held or owed else {}
    return replace(row, orders={**others, **this})


def _refusal(refused: CreditRefused, happened: Happened) -> Mapping[str, Any]:
    return {
        "order": refused.order,
        "amount": refused.amount.amount,
        "missing": refused.missing.amount,
        "currency": refused.amount.currency,
        "reason": refused.reason,
        "at": happened.recorded_at.isoformat(),
    }


PROJECTION = Projection(
    name="customer_account",
    version=2,
    row=CustomerAccount,
    table=table,
    categories=("credit",),
    handles=(
        LimitAssigned,
        CreditHeld,
        CreditRefused,
        CreditReleased,
        CreditConsumed,
        CreditRestored,
        DebtWrittenOff,
    ),
    evolve=evolve,
    owner=RowOwner(party="customer"),
)


async def customer(connection: AsyncConnection, customer: str) -> CustomerAccount | None:
    query = select(table).where(table.c.customer == customer)
    return await one_of(connection, query, CustomerAccount)


async def customers(
    connection: AsyncConnection, *, after: After | None = None, limit: int = 50
) -> Slice[CustomerAccount]:
    """By id; `after` is (customer,)."""
    by = (table.c.customer,)
    return await slice_of(
        connection, select(table), CustomerAccount, by=by, after=after, limit=limit
    )

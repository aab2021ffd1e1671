"""How much of an article a merchant has to sell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from sqlalchemy import BigInteger, Column, DateTime, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.inventory.events import (
    StockReceived,
    StockReleased,
    StockReserved,
    StockReturned,
    StockShipped,
)
from handrail.access.row_owner import RowOwner
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import index, read_model


@dataclass(frozen=True, kw_only=True)
class StockLevel:
    """`item` is `merchant:sku`, the id of the stream; `received` is the sum of all deliveries.

    `received` and `returned` are together `available`, `reserved` and `shipped`.
    """

    item: str
    merchant: str
    sku: str
    available: int
    reserved: int
    received: int
    shipped: int = 0
    returned: int = 0
    updated_at: datetime


table = read_model(
    "stock_level",
    Column("item", Text, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    index("stock_level", "merchant", "sku"),
)


def evolve(row: StockLevel | None, happened: Happened) -> StockLevel:
    match happened.event:
        case StockReceived() as came:
            return StockLevel(
                item=happened.id,
                merchant=came.merchant,
                sku=came.sku,
                available=came.available,
                reserved=came.reserved,
                received=(row.received if row else 0) + came.quantity,
                shipped=row.shipped if row else 0,
                returned=row.returned if row else 0,
                updated_at=happened.recorded_at,
            )
        case StockReserved() | StockReleased() | StockShipped() | StockReturned() as moved:
            return _row_after(begun(row, happened), moved, happened.recorded_at)
        case other:
            raise OutOfPlace(type(other).__name__)


def _row_after(
    row: StockLevel,
    moved: StockReserved | StockReleased | StockShipped | StockReturned,
    at: datetime,
) -> StockLevel:
    row = replace(row, available=moved.available, reserved=moved.reserved, updated_at=at)
    match moved:
        case StockShipped(quantity=quantity):
            return replace(row, shipped=row.shipped + quantity)
        case StockReturned(quantity=quantity):
            return replace(row, returned=row.returned + quantity)
        case StockReserved() | StockReleased():
            return row
        case _:
            assert_never(moved)


PROJECTION = Projection(
    name="stock_level",
    version=2,
    row=StockLevel,
    table=table,
    categories=("stock",),
    handles=(StockReceived, StockReserved, StockReleased, StockShipped, StockReturned),
    evolve=evolve,
    owner=RowOwner(tenant="merchant"),
)


async def item(connection: AsyncConnection, merchant: str, sku: str) -> StockLevel | None:
    query = select(table).where(table.c.merchant == merchant, table.c.sku == sku)
    return await one_of(connection, query, StockLevel)


async def stock(
    connection: AsyncConnection, merchant: str, *, after: After | None = None, limit: int = 50
) -> Slice[StockLevel]:
    """A merchant's articles by SKU; `after` is (sku,)."""
    query = select(table).where(table.c.merchant == merchant)
    by = (table.c.sku,)
    return await slice_of(connection, query, StockLevel, by=by, after=after, limit=limit)


def list_of(merchant: str) -> PastList[StockLevel]:
    """What `stock` lists, as of a moment."""
    return PastList(PROJECTION, ("sku", "item"), {"merchant": merchant})

"""How much of an article a merchant has to sell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.inventory.events import StockReceived, StockReleased, StockReserved
from projections.paging import After, Slice, one_of, slice_of
from projections.projection import Happened, OutOfPlace, Projection, begun
from projections.tables import index, read_model


@dataclass(frozen=True, kw_only=True)
class StockLevel:
    """`item` is `merchant:sku`, the id of the stream; `received` is the sum of all deliveries."""

    item: str
    merchant: str
    sku: str
    available: int
    reserved: int
    received: int
    updated_at: datetime


table = read_model(
    "stock_level",
    Column("item", Text, primary_key=True),
    Column("merchant", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
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
                updated_at=happened.recorded_at,
            )
        case (
            StockReserved(available=available, reserved=reserved)
            | StockReleased(available=available, reserved=reserved)
        ):
            return replace(
                begun(row, happened),
                available=available,
                reserved=reserved,
                updated_at=happened.recorded_at,
            )
        case other:
            raise OutOfPlace(type(other).__name__)


PROJECTION = Projection(
    name="stock_level",
    version=1,
    row=StockLevel,
    table=table,
    categories=("stock",),
    handles=(StockReceived, StockReserved, StockReleased),
    evolve=evolve,
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


async def stock_of(
    connection: AsyncConnection, merchant: str, skus: Iterable[str]
) -> Mapping[str, StockLevel]:
    """By SKU; what was never received is missing."""
    query = select(table).where(table.c.merchant == merchant, table.c.sku.in_(set(skus)))
    found = await connection.execute(query)
    return {one.sku: StockLevel(**one) for one in found.mappings()}

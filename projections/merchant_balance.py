"""What we owe a merchant, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.settlement.events import MerchantAccountOpened, PayableAccrued, PayableClawedBack
from projections.paging import After, Slice, one_of, slice_of
from projections.projection import Happened, OutOfPlace, Projection, begun
from projections.tables import read_model


@dataclass(frozen=True, kw_only=True)
class MerchantBalance:
    """Amounts are minor units of `currency`; `balance` is `gross` - `fees` - `clawed_back`.

    `orders` counts what was accrued, and does not go down when something is clawed back.
    """

    merchant: str
    currency: str
    fee_bps: int
    balance: int = 0
    gross: int = 0
    fees: int = 0
    clawed_back: int = 0
    orders: int = 0
    opened_at: datetime
    updated_at: datetime


table = read_model(
    "merchant_balance",
    Column("merchant", Text, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("fee_bps", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("fees", BigInteger, nullable=False),
    Column("clawed_back", BigInteger, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)


def evolve(row: MerchantBalance | None, happened: Happened) -> MerchantBalance:
    at = happened.recorded_at
    match happened.event:
        case MerchantAccountOpened(merchant=merchant, currency=currency, fee_bps=fee_bps):
            return MerchantBalance(
                merchant=merchant, currency=currency, fee_bps=fee_bps, opened_at=at, updated_at=at
            )
        case PayableAccrued(gross=gross, fee=fee, balance=balance):
            row = begun(row, happened)
            return replace(
                row,
                balance=balance.amount,
                gross=row.gross + gross.amount,
                fees=row.fees + fee.amount,
                orders=row.orders + 1,
                updated_at=at,
            )
        case PayableClawedBack(amount=amount, balance=balance):
            row = begun(row, happened)
            clawed_back = row.clawed_back + amount.amount
            return replace(row, balance=balance.amount, clawed_back=clawed_back, updated_at=at)
        case other:
            raise OutOfPlace(type(other).__name__)


PROJECTION = Projection(
    name="merchant_balance",
    version=1,
    row=MerchantBalance,
    table=table,
    categories=("merchant",),
    handles=(MerchantAccountOpened, PayableAccrued, PayableClawedBack),
    evolve=evolve,
)


async def merchant(connection: AsyncConnection, merchant: str) -> MerchantBalance | None:
    query = select(table).where(table.c.merchant == merchant)
    return await one_of(connection, query, MerchantBalance)


async def merchants(
    connection: AsyncConnection, *, after: After | None = None, limit: int = 50
) -> Slice[MerchantBalance]:
    """By id; `after` is (merchant,)."""
    by = (table.c.merchant,)
    return await slice_of(
        connection, select(table), MerchantBalance, by=by, after=after, limit=limit
    )


async def merchant_currency(connection: AsyncConnection, merchant: str) -> str | None:
    """None for a merchant who has no account with us."""
    query = select(table.c.currency).where(table.c.merchant == merchant)
    currency: str | None = (await connection.execute(query)).scalar_one_or_none()
    return currency

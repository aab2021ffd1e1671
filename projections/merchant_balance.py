"""What we owe a merchant, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.settlement.events import (
    MerchantAccountClosed,
    MerchantAccountOpened,
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutPrepared,
)
from handrail.access.row_owner import RowOwner
from handrail.kernel import Event
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import read_model

Status = Literal["open", "closed"]


@dataclass(frozen=True, kw_only=True)
class MerchantBalance:
    """Amounts are minor units of `currency`.

    `balance` is `gross` - `fees` - `clawed_back` - `on_its_way` - `paid_out`, and below zero where
    more came back than was owed. `payouts` are the amounts that are on their way, by payout.
    `orders` counts what was accrued, and does not go down when something is clawed back.
    """

    merchant: str
    status: Status = "open"
    currency: str
    fee_bps: int
    balance: int = 0
    gross: int = 0
    fees: int = 0
    clawed_back: int = 0
    on_its_way: int = 0
    paid_out: int = 0
    payouts: Mapping[str, int] = field(default_factory=dict)
    orders: int = 0
    opened_at: datetime
    updated_at: datetime


table = read_model(
    "merchant_balance",
    Column("merchant", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("fee_bps", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("fees", BigInteger, nullable=False),
    Column("clawed_back", BigInteger, nullable=False),
    Column("on_its_way", BigInteger, nullable=False),
    Column("paid_out", BigInteger, nullable=False),
    Column("payouts", JSONB, nullable=False),
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
        case _:
            return _row_after(replace(begun(row, happened), updated_at=at), happened.event)


def _row_after(row: MerchantBalance, event: Event) -> MerchantBalance:
    match event:
        case PayableAccrued(gross=gross, fee=fee, balance=balance):
            return replace(
                row,
                balance=balance.amount,
                gross=row.gross + gross.amount,
                fees=row.fees + fee.amount,
                orders=row.orders + 1,
            )
        case PayableClawedBack(amount=amount, balance=balance):
            clawed_back = row.clawed_back + amount.amount
            return replace(row, balance=balance.amount, clawed_back=clawed_back)
        case PayoutPrepared(payout=payout, amount=amount, balance=balance):
            payouts = {**row.payouts, payout: amount.amount}
            return _on_its_way(replace(row, balance=balance.amount), payouts)
        case PayoutCancelled(payout=payout, balance=balance):
            return _on_its_way(replace(row, balance=balance.amount), _without(row, payout))
        case PayoutConfirmed(payout=payout, amount=amount):
            row = replace(row, paid_out=row.paid_out + amount.amount)
            return _on_its_way(row, _without(row, payout))
        case MerchantAccountClosed():
            return replace(row, status="closed")
        case other:
            raise OutOfPlace(type(other).__name__)


def _on_its_way(row: MerchantBalance, payouts: Mapping[str, int]) -> MerchantBalance:
    return replace(row, payouts=payouts, on_its_way=sum(payouts.values()))


def _without(row: MerchantBalance, payout: str) -> Mapping[str, int]:
    return {one: amount for one, amount in row.payouts.items() if one != payout}


PROJECTION = Projection(
    name="merchant_balance",
    version=2,
    row=MerchantBalance,
    table=table,
    categories=("merchant",),
    handles=(
        MerchantAccountOpened,
        PayableAccrued,
        PayableClawedBack,
        PayoutPrepared,
        PayoutCancelled,
        PayoutConfirmed,
        MerchantAccountClosed,
    ),
    evolve=evolve,
    owner=RowOwner(tenant="merchant"),
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
    """None for a merchant who has no account with us, or not any more."""
    query = select(table.c.currency).where(table.c.merchant == merchant, table.c.status == "open")
    currency: str | None = (await connection.execute(query)).scalar_one_or_none()
    return currency

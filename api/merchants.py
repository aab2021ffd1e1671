"""Merchants: their account with us, and what they have to sell."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from domain.identifiers import MerchantId, Sku
from domain.inventory.commands import ReceiveStock
from domain.settlement.commands import OpenMerchantAccount
from handrail import bounds
from handrail.http.access import needs
from handrail.http.consistency import TOKEN, FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, Services, ServicesDep
from handrail.http.idempotency import OptionalKey, wish
from handrail.http.pagination import BY_NAME, PastPageQuery, RowPage, position, row_page
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, Currency, Id, Links, Money, Quantity, of_row, whole
from handrail.http.temporal_errors import UNAVAILABLE
from projections import merchant_balance, stock_level
from projections.merchant_balance import MerchantBalance, Status

router = APIRouter(tags=["merchants"])


class NewMerchant(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"currency": "EUR", "fee_bps": 250}]})

    currency: Currency
    fee_bps: Annotated[int, whole(bounds.BASIS_POINTS)] = Field(
        description="Our fee: hundredths of a percent."
    )


class Merchant(BaseModel):
    merchant: str
    currency: str
    fee_bps: int
    token: str
    links: Links


class Delivery(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sku": "lamp-2", "delivery": "delivery-2026-03-02", "quantity": 40}]
        }
    )

    sku: Id
    delivery: Annotated[Id, Field(description="The delivery note: reported twice, counted once.")]
    quantity: Quantity


class Received(BaseModel):
    merchant: str
    sku: str
    delivery: str
    token: str
    links: Links


class Balance(BaseModel):
    """`balance` is `gross` - `fees` - `clawed_back` - `on_its_way` - `paid_out`."""

    merchant: str
    status: Status
    fee_bps: int
    balance: Money
    gross: Money
    fees: Money
    clawed_back: Money
    on_its_way: Money
    paid_out: Money
    payouts: dict[str, Money] = Field(description="What is on its way, by payout.")
    orders: int
    opened_at: datetime
    updated_at: datetime
    links: Links


class Stock(BaseModel):
    merchant: str
    sku: str
    available: int
    reserved: int
    received: int
    shipped: int
    returned: int
    updated_at: datetime


@router.put(
    "/merchants/{merchant}",
    summary="Open a merchant's account",
    dependencies=[needs("merchants:write"), *JSON_BODY],
    responses={
        201: {"model": Merchant, "description": "The account was opened"},
        **responses("rule-broken", "content-differs", *UNAVAILABLE),
    },
)
async def open_account(
    *,
    services: ServicesDep,
    actor: ActorDep,
    key: OptionalKey,
    response: Response,
    merchant: Id,
    asked: NewMerchant,
) -> Merchant:
    """Opened again on the same terms, nothing happens; on other terms it is refused."""
    answer = await services.processes.do(
        OpenMerchantAccount(
            merchant=MerchantId(merchant), currency=asked.currency, fee_bps=asked.fee_bps
        ),
        key=wish(f"merchant:{merchant}", key, asked),
        actor=actor,
    )
    response.headers[TOKEN] = answer.token
    response.status_code = 201 if answer.outcome else 200
    return Merchant(
        merchant=merchant,
        currency=asked.currency,
        fee_bps=asked.fee_bps,
        token=answer.token,
        links=_links(merchant),
    )


@router.post(
    "/merchants/{merchant}/stock",
    status_code=201,
    summary="Receive stock",
    dependencies=[needs("stock:write"), *JSON_BODY],
    responses={
        200: {"model": Received, "description": "The delivery was known already"},
        **responses("rule-broken", "not-found", *UNAVAILABLE),
    },
)
async def receive(
    *,
    services: ServicesDep,
    actor: ActorDep,
    fresh: FreshnessDep,
    response: Response,
    merchant: Id,
    asked: Delivery,
) -> Received:
    """A delivery is counted once, however often it is reported."""
    await fresh.of("merchant_balance", id_=merchant)
    async with services.database.connection() as connection:
        if await merchant_balance.merchant_currency(connection, merchant) is None:
            raise Problem("not-found", f"there is no merchant {merchant}")
    answer = await services.processes.do(
        ReceiveStock(
            merchant=MerchantId(merchant),
            sku=Sku(asked.sku),
            delivery=asked.delivery,
            quantity=asked.quantity,
        ),
        # A colon is in none of the parts, so two deliveries never share a key.
        key=f"stock:{merchant}:{asked.sku}:{asked.delivery}",
        actor=actor,
    )
    response.headers[TOKEN] = answer.token
    response.status_code = 201 if answer.outcome else 200
    return Received(
        merchant=merchant,
        sku=asked.sku,
        delivery=asked.delivery,
        token=answer.token,
        links=_links(merchant),
    )


@router.get(
    "/merchants/{merchant}/balance",
    summary="What we owe a merchant",
    dependencies=[needs("balances:read")],
    responses=responses("not-found"),
)
async def show_balance(fresh: FreshnessDep, merchant: Id, as_of: AsOf = None) -> Balance:
    row = await fresh.row(
        merchant_balance.PROJECTION,
        merchant,
        lambda connection: merchant_balance.merchant(connection, merchant),
        as_of,
    )
    if row is None:
        raise Problem("not-found", f"there is no merchant {merchant}")
    return _balance(row)


@router.get(
    "/merchants/{merchant}/stock",
    summary="What a merchant has to sell",
    dependencies=[needs("stock:read")],
    responses=responses("not-found", "history-too-long"),
)
async def list_stock(
    services: ServicesDep,
    fresh: FreshnessDep,
    response: Response,
    merchant: Id,
    query: Annotated[PastPageQuery, Query()],
) -> RowPage[Stock]:
    """By SKU. A merchant who never received anything has an empty list."""
    path = f"/merchants/{merchant}/stock"
    after = position(path, query, BY_NAME)
    await fresh.of("merchant_balance", id_=merchant)
    found, parked = await fresh.slice(
        stock_level.list_of(merchant),
        query,
        after and (*after, f"{merchant}:{after[0]}"),
        lambda connection: stock_level.stock(connection, merchant, after=after, limit=query.limit),
    )
    next_ = found.next and found.next[:1]
    if not found.rows and not await _known(services, merchant, query.as_of):
        raise Problem("not-found", f"there is no merchant {merchant}")
    items = [of_row(Stock, row) for row in found.rows]
    return row_page(items, next_, path, query, response, parked=parked)


@router.get(
    "/merchants/{merchant}/stock/{sku}",
    summary="How much of an article a merchant has to sell",
    dependencies=[needs("stock:read")],
    responses=responses("not-found"),
)
async def show_stock(fresh: FreshnessDep, merchant: Id, sku: Id, as_of: AsOf = None) -> Stock:
    item = f"{merchant}:{sku}"
    row = await fresh.row(
        stock_level.PROJECTION,
        item,
        lambda connection: stock_level.item(connection, merchant, sku),
        as_of,
    )
    if row is None:
        raise Problem("not-found", f"{merchant} never received {sku}")
    return of_row(Stock, row)


async def _known(services: Services, merchant: str, moment: datetime | None) -> bool:
    if moment is not None:
        then = await services.history.row(merchant_balance.PROJECTION, merchant, moment)
        return then.row is not None
    async with services.database.connection() as connection:
        return await merchant_balance.merchant_currency(connection, merchant) is not None


def _links(merchant: str) -> Links:
    return {
        "balance": f"/merchants/{merchant}/balance",
        "stock": f"/merchants/{merchant}/stock",
        "orders": f"/orders?merchant={merchant}",
        "stream": f"/streams/merchant-{merchant}",
    }


def _balance(row: MerchantBalance) -> Balance:
    payouts = {payout: Money.of(amount, row.currency) for payout, amount in row.payouts.items()}
    return of_row(Balance, row, payouts=payouts, links=_links(row.merchant))

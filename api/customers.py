"""Customers: what they may spend, and for which orders they owe."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from domain.credit.commands import AssignLimit
from domain.identifiers import CustomerId
from handrail.http.access import needs, needs_two
from handrail.http.consistency import TOKEN, FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, ServicesDep
from handrail.http.four_eyes import OF_TWO, ProposedAction, SecondPersonDep
from handrail.http.idempotency import OptionalKey, wish
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, AskedMoney, Id, Links, Money, of_row
from handrail.http.temporal_errors import UNAVAILABLE
from projections import customer_account
from projections.customer_account import CustomerAccount

ALONE: Final = 10_000_00
"""The highest limit, in minor units, that one person assigns."""

router = APIRouter(tags=["customers"])


class NewLimit(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"limit": {"amount": 100_000, "currency": "EUR"}}]}
    )

    limit: AskedMoney


class LimitAssigned(BaseModel):
    customer: str
    limit: Money
    token: str
    links: Links


class OpenOrder(BaseModel):
    order: str
    held: Money
    owed: Money


class LastRefusal(BaseModel):
    order: str
    amount: Money
    missing: Money
    reason: str
    at: datetime


class Customer(BaseModel):
    customer: str
    limit: Money
    held: Money
    used: Money
    written_off: Money
    available: Money
    orders: list[OpenOrder]
    last_refusal: LastRefusal | None
    updated_at: datetime
    links: Links


@router.put(
    "/customers/{customer}/limit",
    summary="Assign a credit limit",
    dependencies=[needs_two("limits:write"), *JSON_BODY],
    responses={
        202: {"model": ProposedAction, "description": "A second person has to approve it"},
        **responses(*OF_TWO, "wrong-currency", "rule-broken", *UNAVAILABLE),
    },
)
async def assign_limit(
    *,
    services: ServicesDep,
    actor: ActorDep,
    key: OptionalKey,
    second: SecondPersonDep,
    response: Response,
    customer: Id,
    asked: NewLimit,
) -> LimitAssigned:
    """The limit may be changed at will, within one currency. Lowered below what is held and owed,
    it takes nothing back. Above 10,000.00 of its currency a second person may be needed.
    """
    actor = await second.agreed(actor, asked, needed=asked.limit.amount > ALONE)
    answer = await services.processes.do(
        AssignLimit(customer=CustomerId(customer), limit=asked.limit.to_domain()),
        key=wish(f"limit:{customer}", key, asked),
        actor=actor,
    )
    response.headers[TOKEN] = answer.token
    return LimitAssigned(
        customer=customer,
        limit=Money.of(asked.limit.amount, asked.limit.currency),
        token=answer.token,
        links=_links(customer),
    )


@router.get(
    "/customers/{customer}",
    summary="What a customer may spend, and owes",
    dependencies=[needs("customers:read")],
    responses=responses("not-found"),
)
async def show_customer(fresh: FreshnessDep, customer: Id, as_of: AsOf = None) -> Customer:
    row = await fresh.row(
        customer_account.PROJECTION,
        customer,
        lambda connection: customer_account.customer(connection, customer),
        as_of,
    )
    if row is None:
        raise Problem("not-found", f"there is no customer {customer}")
    return _customer(row)


def _links(customer: str) -> Links:
    return {
        "customer": f"/customers/{customer}",
        "orders": f"/orders?customer={customer}",
        "stream": f"/streams/credit-{customer}",
    }


def _customer(row: CustomerAccount) -> Customer:
    def money(amount: int) -> Money:
        return Money.of(amount, row.currency)

    refused = row.last_refusal
    return of_row(
        Customer,
        row,
        orders=[
            OpenOrder(order=order, held=money(one["held"]), owed=money(one["owed"]))
            for order, one in row.orders.items()
        ],
        last_refusal=refused
        and LastRefusal(
            order=refused["order"],
            amount=Money.of(refused["amount"], refused["currency"]),
            missing=Money.of(refused["missing"], refused["currency"]),
            reason=refused["reason"],
            at=refused["at"],
        ),
        links=_links(row.customer),
    )

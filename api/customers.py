"""Customers: what they may spend, and for which orders they owe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from api.problem_types import KINDS
from domain.credit.commands import AssignLimit
from domain.customers.events import CustomerDataRemoved, CustomerErased, CustomerKeysDestroyed
from domain.identifiers import CustomerId
from handrail.http import stream_reader
from handrail.http.access import needs, needs_two
from handrail.http.consistency import TOKEN, FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, Services, ServicesDep
from handrail.http.four_eyes import OF_TWO, ProposedAction, SecondPersonDep
from handrail.http.idempotency import OptionalKey, wish
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, AskedMoney, Id, Links, Money, of_row
from handrail.http.start_input import last_attempt
from handrail.http.start_request import StartRequest
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.kernel import stream_name
from projections import customer_account
from projections.customer_account import CustomerAccount
from workflows import erase_customer
from workflows.erase_customer import EraseCustomer

_DECIDED_WITHIN: Final = 10.0
"""Seconds; after that the answer is that it has begun."""
_LOOKS: Final = 50
_PAUSE: Final = 0.1  # seconds
_MOST_ERASURES: Final = 10_000  # events of them
_UNDER_WAY: Final = frozenset((CustomerKeysDestroyed.__name__, CustomerDataRemoved.__name__))

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


class Erasing(BaseModel):
    """Nothing is open: it goes on until it is done."""

    customer: str
    saga: str
    status: Literal["erasing"] = "erasing"
    links: Links


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


@router.delete(
    "/customers/{customer}",
    status_code=202,
    summary="Erase a customer",
    dependencies=[needs("customers:erase")],
    responses=responses(
        "malformed-header",
        "erasure-refused",
        "out-of-order",
        "database-unavailable",
        *UNAVAILABLE,
        kinds=KINDS,
    ),
)
async def erase(services: ServicesDep, actor: ActorDep, customer: Id) -> Erasing:
    """The keys of the customer's personal data are destroyed, so that nothing sealed is read any
    more; contact and messages are deleted; other services hear of it. What is open, an order or a
    debt, refuses. Asked again, it is done again. How far it is, is under `saga`; the proof is in
    the stream `customer-{id}`.
    """
    asked = EraseCustomer(
        customer=CustomerId(customer),
        by=actor,
        requested_at=datetime.now(UTC),
        before=await _erasures_before(services, customer),
    )
    beginning = StartRequest.of(erase_customer.SAGA, asked)
    saga = beginning.saga
    before = await services.processes.last_run(saga)
    told = await last_attempt(services.database, services.app.codec, saga)
    number = max(before.attempt if before else 0, told.number if told else 0)
    running = before is not None and before.running
    beginning = replace(
        beginning,
        attempt=max(number, 1) if running else number + 1,
        same=lambda one: one.customer == customer,
    )
    await services.processes.start(beginning, actor, begun=running)
    decision = await services.decisions.wait_for(beginning, _DECIDED_WITHIN)
    if decision is not None and not decision.approved:
        raise Problem("erasure-refused", f"{customer} is not erased: {decision.reason}")
    links = {**services.links(saga), **_links(customer), "proof": f"/streams/customer-{customer}"}
    return Erasing(customer=customer, saga=saga, links=links)


async def _erasures_before(services: Services, customer: str) -> int:
    """How many are over. An erasure that has destroyed the keys misses what came since, so its end
    is waited for. Raises Problem where it does not come.
    """
    stream, over = stream_name("customer", customer), CustomerErased.__name__
    for _ in range(_LOOKS):
        async with services.database.connection() as connection:
            found = await stream_reader.read(connection, stream, after=0, limit=_MOST_ERASURES)
        if not found or found[-1].type not in _UNDER_WAY:
            return sum(one.type == over for one in found)
        await asyncio.sleep(_PAUSE)
    raise Problem("out-of-order", f"an erasure of {customer} is ending: ask again", retry_after=1)


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

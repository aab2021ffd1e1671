"""Deliveries of a webhook endpoint: what was sent, what waits, and sending it again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from handrail.access.principal import Principal
from handrail.http.access import PrincipalDep
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.pagination import Page, PageQuery, page, position
from handrail.http.problems import Problem, responses
from handrail.http.routes.webhook_endpoints import (
    BY_TIME,
    MANAGE,
    PROBLEMS,
    READ,
    Act,
    found_endpoint,
    links_of,
)
from handrail.http.schemas import Asked, Id, Links, of_row
from handrail.webhook_endpoints import deliveries
from handrail.webhook_endpoints.deliveries import Delivery
from handrail.webhook_endpoints.endpoints import Endpoint

router = APIRouter(tags=["webhook endpoints"])


class ShownDelivery(BaseModel):
    """`parked` ones were tried for days: what comes later of their stream waits behind them."""

    delivery: str = Field(description="The webhook-id of each of its tries.")
    stream: str
    version: int
    type: str
    state: deliveries.State
    created_at: datetime
    due_at: datetime
    attempts: int
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    status: int | None = Field(description="Of the last answer.")
    problem: str | None
    settled_at: datetime | None
    settled_by: str | None


class SentAgain(BaseModel):
    endpoint: str
    deliveries: int
    links: Links


class NamedDelivery(BaseModel):
    endpoint: str
    delivery: str
    links: Links


class DeliveriesQuery(PageQuery):
    state: deliveries.State | None = None


class NoMore(Asked):
    """An empty object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


@router.post(
    "/webhook-endpoints/{endpoint}/test",
    status_code=202,
    summary="Send a test to a webhook endpoint",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *PROBLEMS),
)
async def test_endpoint(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: NoMore
) -> NamedDelivery:
    """Signed as all others, and without an event. What became of it is among the deliveries."""
    del body
    found = await _active(services, principal, endpoint)
    async with services.database.connection() as connection:
        id_ = await deliveries.send_test(connection, found)
    return NamedDelivery(endpoint=found.id, delivery=id_, links=links_of(found.id))


@router.get(
    "/webhook-endpoints/{endpoint}/deliveries",
    summary="What was sent to a webhook endpoint, and what waits",
    dependencies=[READ],
    responses=responses("bad-cursor", "not-found", "database-unavailable"),
)
async def list_deliveries(
    services: ServicesDep,
    principal: PrincipalDep,
    endpoint: Id,
    query: Annotated[DeliveriesQuery, Query()],
    response: Response,
) -> Page[ShownDelivery]:
    found = await found_endpoint(services, principal, endpoint)
    path = f"/webhook-endpoints/{endpoint}/deliveries"
    async with services.database.connection() as connection:
        rows = await deliveries.listed(
            connection,
            found.id,
            state=query.state,
            after=position(path, query, BY_TIME),
            limit=query.limit,
        )
    return page([_delivery(one) for one in rows.rows], rows.next, path, query, response)


@router.post(
    "/webhook-endpoints/{endpoint}/redeliver",
    status_code=202,
    summary="Send all again that is parked",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *PROBLEMS),
)
async def redeliver_all(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: Act
) -> SentAgain:
    """At most 10,000 at once, the oldest first."""
    del body
    return await _sent_again(services, await _active(services, principal, endpoint), None)


@router.post(
    "/webhook-endpoints/{endpoint}/deliveries/{delivery}/redeliver",
    status_code=202,
    summary="Send one delivery again",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *PROBLEMS),
)
async def redeliver_one(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, delivery: Id, body: Act
) -> SentAgain:
    """Whatever became of it, under the same id."""
    del body
    return await _sent_again(services, await _active(services, principal, endpoint), delivery)


@router.post(
    "/webhook-endpoints/{endpoint}/deliveries/{delivery}/discard",
    summary="Give a delivery up",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses(*PROBLEMS),
)
async def discard_delivery(
    *,
    services: ServicesDep,
    principal: PrincipalDep,
    actor: ActorDep,
    endpoint: Id,
    delivery: Id,
    body: Act,
) -> NamedDelivery:
    """What waits behind it in its stream is sent then."""
    found = await found_endpoint(services, principal, endpoint)
    async with services.database.connection() as connection:
        done = await deliveries.discard(connection, found.id, delivery, by=body.by(actor))
    if not done:
        raise Problem("not-found", f"no delivery {delivery} waits or is parked there")
    return NamedDelivery(endpoint=found.id, delivery=delivery, links=links_of(found.id))


async def _active(services: Services, principal: Principal, endpoint: str) -> Endpoint:
    """Raises Problem as `found_endpoint` does, and where it is disabled."""
    found = await found_endpoint(services, principal, endpoint)
    if found.state != "active":
        raise Problem("out-of-order", "it is disabled: enable it first")
    return found


async def _sent_again(services: Services, found: Endpoint, delivery: str | None) -> SentAgain:
    async with services.database.connection() as connection:
        count = await deliveries.send_again(connection, found.id, delivery)
    if not count and delivery is not None:
        raise Problem("not-found", f"there is no delivery {delivery}")
    return SentAgain(endpoint=found.id, deliveries=count, links=links_of(found.id))


def _delivery(one: Delivery) -> ShownDelivery:
    return of_row(ShownDelivery, one, delivery=one.id)

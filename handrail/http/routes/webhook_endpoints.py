"""Webhook endpoints: where a tenant has its events sent, and what became of each delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail import bounds
from handrail.access.principal import Principal
from handrail.access.roles import MANAGE_ENDPOINTS
from handrail.http.access import PrincipalDep, needs
from handrail.http.api_examples import NEUTRAL
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.operator_reason import attribution
from handrail.http.pagination import Page, PageQuery, page, position
from handrail.http.problems import Problem, at, responses
from handrail.http.schemas import Asked, Id, Links, Moment, Why, members, of_row, text, whole
from handrail.http.tenant_of_body import tenant_of
from handrail.privacy.texts import NoSubjectKeys
from handrail.tenant_word import TENANT_FIELD
from handrail.webhook_endpoints import deliveries, endpoints
from handrail.webhook_endpoints.addresses import BadAddress
from handrail.webhook_endpoints.endpoints import Endpoint, NewEndpoint, WithSecret

router = APIRouter(tags=["webhook endpoints"])

BY_TIME: Final[TypeAdapter[tuple[datetime, str]]] = TypeAdapter(tuple[Moment, Id])
_NO_KEYS: Final = "HANDRAIL_SUBJECT_KEYS_FILE is not set: the secret would be stored in clear"
READ: Final = needs("webhook-endpoints:read", own_rows=True)
MANAGE: Final = needs(MANAGE_ENDPOINTS, own_rows=True)
PROBLEMS: Final = ("not-found", "database-unavailable", "audit-unavailable")

EventForm = Annotated[str, text(bounds.EVENT_FORM)]


class EndpointState(BaseModel):
    """`failing_since` is empty where the last delivery succeeded. Of a disabled endpoint, what
    comes is kept, and sent once it is enabled.
    """

    endpoint: str
    tenant: Annotated[str, TENANT_FIELD]
    url: str
    description: str
    events: list[str]
    state: endpoints.State
    state_by: str
    state_because: str
    state_since: datetime
    earlier_secret_until: datetime | None = Field(
        description="Until when the secret before signs beside the newest one."
    )
    created_at: datetime
    created_by: str
    failing_since: datetime | None
    failures: int = Field(description="Tries in a row that failed.")
    resting_until: datetime | None = Field(
        description="Until when nothing is sent, as it failed or asked for it."
    )
    last_problem: str | None
    last_delivered_at: datetime | None
    waiting: int = Field(description="Deliveries that are to be sent, 10,000 at most.")
    parked: int = Field(description="Deliveries that were given up, 10,000 at most.")
    links: Links


class EndpointWithSecret(EndpointState):
    """The only answer that shows the secret."""

    secret: str


class OfferedForms(BaseModel):
    events: list[str]


class Deleted(BaseModel):
    endpoint: str


class EndpointsQuery(PageQuery):
    tenant: Annotated[Id | None, TENANT_FIELD] = None
    state: endpoints.State | None = None


class NewWebhookEndpoint(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [dict(NEUTRAL.webhook_endpoint)]})

    tenant: Annotated[
        Id | None, Field(description="Needed of a caller that is of none."), TENANT_FIELD
    ] = None
    url: Annotated[str, text(bounds.ENDPOINT_URL)]
    events: Annotated[list[EventForm], members(bounds.ENDPOINT_EVENTS)]
    description: Annotated[str, text(bounds.DESCRIPTION)] = ""


class Rotation(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: Annotated[
        int,
        whole(bounds.OVERLAP_HOURS),
        Field(description="How long the secret before signs beside the new one."),
    ] = 24


class Act(Why):
    """Who has it done, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "their server is back"}]})


@router.get(
    "/webhook-events",
    summary="The events that webhook endpoints may be sent",
    dependencies=[READ],
)
async def list_offered(services: ServicesDep) -> OfferedForms:
    """Each in the forms that it may be asked for in."""
    return OfferedForms(events=list(services.app.offered_events.forms))


@router.get(
    "/webhook-endpoints",
    summary="Webhook endpoints, newest first",
    dependencies=[READ],
    responses=responses("bad-cursor", "database-unavailable"),
)
async def list_endpoints(
    services: ServicesDep,
    principal: PrincipalDep,
    query: Annotated[EndpointsQuery, Query()],
    response: Response,
) -> Page[EndpointState]:
    path = "/webhook-endpoints"
    async with services.database.snapshot() as connection:
        found = await endpoints.listed(
            connection,
            principal.visibility,
            tenant=query.tenant,
            state=query.state,
            after=position(path, query, BY_TIME),
            limit=query.limit,
        )
        counts = await deliveries.counts(connection, [one.id for one in found.rows])
    items = [_shown(one, counts[one.id]) for one in found.rows]
    return page(items, found.next, path, query, response)


@router.post(
    "/webhook-endpoints",
    status_code=201,
    summary="Register a webhook endpoint",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("subject-keys-missing", "too-many-endpoints", *PROBLEMS),
)
async def register_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, body: NewWebhookEndpoint
) -> EndpointWithSecret:
    """It is sent what is recorded from now on. The answer shows its secret, once."""
    new = NewEndpoint(
        tenant=tenant_of(principal, body.tenant, services.app.tenant),
        url=body.url,
        description=body.description,
        events=_events_of(services, body.events),
    )
    try:
        services.endpoint_rules.addresses.check_url(new.url)
    except BadAddress as wrong:
        raise Problem("invalid-request", f"#/url: {wrong}", [at("#/url", str(wrong))]) from None
    most = services.endpoint_rules.per_tenant
    async with _sealing(services) as connection:
        made = await endpoints.register(
            connection, services.personal, new, by=str(actor), most=most
        )
    if made is None:
        raise Problem("too-many-endpoints", f"{new.tenant} has {most} webhook endpoints")
    return _with_secret(made)


@router.get(
    "/webhook-endpoints/{endpoint}",
    summary="How a webhook endpoint stands",
    dependencies=[READ],
    responses=responses("not-found", "database-unavailable"),
)
async def show_endpoint(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id
) -> EndpointState:
    return await _state(services, await found_endpoint(services, principal, endpoint))


@router.delete(
    "/webhook-endpoints/{endpoint}",
    summary="Delete a webhook endpoint",
    dependencies=[MANAGE],
    responses=responses(*PROBLEMS),
)
async def delete_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id
) -> Deleted:
    """With what waits for it: nothing of that is sent."""
    found = await found_endpoint(services, principal, endpoint)
    async with services.database.connection() as connection:
        await endpoints.delete(connection, found.id, by=str(actor))
    return Deleted(endpoint=found.id)


@router.post(
    "/webhook-endpoints/{endpoint}/rotate",
    summary="Make another secret",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("subject-keys-missing", "out-of-order", *PROBLEMS),
)
async def rotate_secret(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: Rotation
) -> EndpointWithSecret:
    """Each message is signed with both until the overlap ends. The answer shows the new one."""
    found = await found_endpoint(services, principal, endpoint)
    async with _sealing(services) as connection:
        made = await endpoints.rotate(
            connection, services.personal, found, overlap=timedelta(hours=body.overlap_hours)
        )
    if made is None:
        until = found.earlier_until
        said = f"two secrets are valid until {until}: rotate again after that"
        raise Problem("out-of-order", said)
    return _with_secret(made)


@router.post(
    "/webhook-endpoints/{endpoint}/disable",
    summary="Stop sending to a webhook endpoint",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *PROBLEMS),
)
async def disable_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id, body: Act
) -> EndpointState:
    """What comes meanwhile is kept."""
    found = await found_endpoint(services, principal, endpoint)
    by = await attribution(services, body, actor)
    async with services.database.connection() as connection:
        now = await endpoints.disable(connection, found.id, by=by.actor, reason=by.reason)
    return await _state(services, _changed(now, "it is not active"))


@router.post(
    "/webhook-endpoints/{endpoint}/enable",
    summary="Send to a webhook endpoint again",
    dependencies=[MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *PROBLEMS),
)
async def enable_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id, body: Act
) -> EndpointState:
    """What came meanwhile is sent; what is parked waits for `redeliver`."""
    found = await found_endpoint(services, principal, endpoint)
    by = await attribution(services, body, actor)
    async with services.database.connection() as connection:
        now = await endpoints.enable(connection, found.id, by=by.actor, reason=by.reason)
    return await _state(services, _changed(now, "it is not disabled"))


def _events_of(services: Services, asked: Sequence[str]) -> Sequence[str]:
    """Raises Problem for a form that is not offered, and for two forms of one event."""
    offered = services.app.offered_events.forms
    names: set[str] = set()
    for number, key in enumerate(asked):
        if key not in offered:
            said = "is not offered: see /webhook-events"
        elif key.rpartition(".")[0] in names:
            said = "is another form of an event that is there already"
        else:
            names.add(key.rpartition(".")[0])
            continue
        pointer = f"#/events/{number}"
        raise Problem("invalid-request", f"{pointer}: {key} {said}", [at(pointer, said)])
    return asked


@asynccontextmanager
async def _sealing(services: Services) -> AsyncIterator[AsyncConnection]:
    """A connection for what stores a secret. Raises Problem where there are no keys to seal it."""
    try:
        async with services.database.connection() as connection:
            yield connection
    except NoSubjectKeys:
        raise Problem("subject-keys-missing", _NO_KEYS) from None


async def found_endpoint(services: Services, principal: Principal, endpoint: str) -> Endpoint:
    """Raises Problem where there is none, or none that the caller may see."""
    async with services.database.connection() as connection:
        found = await endpoints.find(connection, endpoint, principal.visibility)
    if found is None:
        raise Problem("not-found", f"there is no webhook endpoint {endpoint}")
    return found


def _changed(now: Endpoint | None, said: str) -> Endpoint:
    if now is None:
        raise Problem("out-of-order", said)
    return now


async def _state(services: Services, found: Endpoint) -> EndpointState:
    async with services.database.connection() as connection:
        counts = await deliveries.counts(connection, [found.id])
    return _shown(found, counts[found.id])


def _shown(one: Endpoint, counts: dict[str, int]) -> EndpointState:
    return of_row(EndpointState, one, **_more(one), **counts)


def _with_secret(made: WithSecret) -> EndpointWithSecret:
    one = made.endpoint
    return of_row(EndpointWithSecret, one, **_more(one), secret=made.secret, waiting=0, parked=0)


def _more(one: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": one.id,
        "events": list(one.events),
        "earlier_secret_until": one.earlier_until,
        "resting_until": one.paused_until,
        "links": links_of(one.id),
    }


def links_of(endpoint: str) -> Links:
    address = f"/webhook-endpoints/{endpoint}"
    return {"endpoint": address, "deliveries": f"{address}/deliveries"}

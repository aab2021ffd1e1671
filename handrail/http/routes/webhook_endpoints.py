"""Webhook endpoints: where a tenant has its events sent, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

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
from handrail.webhook_endpoints.deliveries import Delivery
from handrail.webhook_endpoints.endpoints import Endpoint, NewEndpoint, WithSecret

router = APIRouter(tags=["webhook endpoints"])

_BY_TIME: Final[TypeAdapter[tuple[datetime, str]]] = TypeAdapter(tuple[Moment, Id])
_NO_KEYS: Final = "HANDRAIL_SUBJECT_KEYS_FILE is not set: the secret would be stored in clear"
_READ: Final = needs("webhook-endpoints:read", own_rows=True)
_MANAGE: Final = needs(MANAGE_ENDPOINTS, own_rows=True)
_PROBLEMS: Final = ("not-found", "database-unavailable", "audit-unavailable")

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


class OfferedForms(BaseModel):
    events: list[str]


class SentAgain(BaseModel):
    endpoint: str
    deliveries: int
    links: Links


class NamedDelivery(BaseModel):
    endpoint: str
    delivery: str
    links: Links


class Deleted(BaseModel):
    endpoint: str


class EndpointsQuery(PageQuery):
    tenant: Annotated[Id | None, TENANT_FIELD] = None
    state: endpoints.State | None = None


class DeliveriesQuery(PageQuery):
    state: deliveries.State | None = None


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


class NoMore(Asked):
    """An empty object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class Act(Why):
    """Who has it done, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "their server is back"}]})


@router.get(
    "/webhook-events",
    summary="The events that webhook endpoints may be sent",
    dependencies=[_READ],
)
async def list_offered(services: ServicesDep) -> OfferedForms:
    """Each in the forms that it may be asked for in."""
    return OfferedForms(events=list(services.app.offered_events.forms))


@router.get(
    "/webhook-endpoints",
    summary="Webhook endpoints, newest first",
    dependencies=[_READ],
    responses=responses("bad-cursor", "database-unavailable"),
)
async def list_endpoints(
    services: ServicesDep,
    principal: PrincipalDep,
    query: Annotated[EndpointsQuery, Query()],
    response: Response,
) -> Page[EndpointState]:
    path = "/webhook-endpoints"
    async with services.database.connection() as connection:
        found = await endpoints.listed(
            connection,
            principal.visibility,
            tenant=query.tenant,
            state=query.state,
            after=position(path, query, _BY_TIME),
            limit=query.limit,
        )
        counts = await deliveries.counts(connection, [one.id for one in found.rows])
    items = [_shown(one, counts[one.id]) for one in found.rows]
    return page(items, found.next, path, query, response)


@router.post(
    "/webhook-endpoints",
    status_code=201,
    summary="Register a webhook endpoint",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("subject-keys-missing", "too-many-endpoints", *_PROBLEMS),
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
    async with services.database.connection() as connection:
        try:
            made = await endpoints.register(
                connection, services.personal, new, by=str(actor), most=most
            )
        except NoSubjectKeys:
            raise Problem("subject-keys-missing", _NO_KEYS) from None
    if made is None:
        raise Problem("too-many-endpoints", f"{new.tenant} has {most} webhook endpoints")
    return _with_secret(made)


@router.get(
    "/webhook-endpoints/{endpoint}",
    summary="How a webhook endpoint stands",
    dependencies=[_READ],
    responses=responses("not-found", "database-unavailable"),
)
async def show_endpoint(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id
) -> EndpointState:
    return await _state(services, await _found(services, principal, endpoint))


@router.delete(
    "/webhook-endpoints/{endpoint}",
    summary="Delete a webhook endpoint",
    dependencies=[_MANAGE],
    responses=responses(*_PROBLEMS),
)
async def delete_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id
) -> Deleted:
    """With what waits for it: nothing of that is sent."""
    found = await _found(services, principal, endpoint)
    async with services.database.connection() as connection:
        await endpoints.delete(connection, found.id, by=str(actor))
    return Deleted(endpoint=found.id)


@router.post(
    "/webhook-endpoints/{endpoint}/rotate",
    summary="Make another secret",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("subject-keys-missing", "out-of-order", *_PROBLEMS),
)
async def rotate_secret(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: Rotation
) -> EndpointWithSecret:
    """Each message is signed with both until the overlap ends. The answer shows the new one."""
    found = await _found(services, principal, endpoint)
    async with services.database.connection() as connection:
        try:
            made = await endpoints.rotate(
                connection, services.personal, found, overlap=timedelta(hours=body.overlap_hours)
            )
        except NoSubjectKeys:
            raise Problem("subject-keys-missing", _NO_KEYS) from None
    if made is None:
        until = found.earlier_until
        said = f"two secrets are valid until {until}: rotate again after that"
        raise Problem("out-of-order", said)
    return _with_secret(made)


@router.post(
    "/webhook-endpoints/{endpoint}/disable",
    summary="Stop sending to a webhook endpoint",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *_PROBLEMS),
)
async def disable_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id, body: Act
) -> EndpointState:
    """What comes meanwhile is kept."""
    found = await _found(services, principal, endpoint)
    by = await attribution(services, body, actor)
    async with services.database.connection() as connection:
        now = await endpoints.disable(connection, found.id, by=by.actor, reason=by.reason)
    return await _state(services, _changed(now, "it is not active"))


@router.post(
    "/webhook-endpoints/{endpoint}/enable",
    summary="Send to a webhook endpoint again",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *_PROBLEMS),
)
async def enable_endpoint(
    services: ServicesDep, principal: PrincipalDep, actor: ActorDep, endpoint: Id, body: Act
) -> EndpointState:
    """What came meanwhile is sent; what is parked waits for `redeliver`."""
    found = await _found(services, principal, endpoint)
    by = await attribution(services, body, actor)
    async with services.database.connection() as connection:
        now = await endpoints.enable(connection, found.id, by=by.actor, reason=by.reason)
    return await _state(services, _changed(now, "it is not disabled"))


@router.post(
    "/webhook-endpoints/{endpoint}/test",
    status_code=202,
    summary="Send a test to a webhook endpoint",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *_PROBLEMS),
)
async def test_endpoint(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: NoMore
) -> NamedDelivery:
    """Signed as all others, and without an event. What became of it is among the deliveries."""
    del body
    found = await _found(services, principal, endpoint)
    if found.state != "active":
        raise Problem("out-of-order", "it is disabled: enable it first")
    async with services.database.connection() as connection:
        id_ = await deliveries.send_test(connection, found)
    return NamedDelivery(endpoint=found.id, delivery=id_, links=_links(found.id))


@router.get(
    "/webhook-endpoints/{endpoint}/deliveries",
    summary="What was sent to a webhook endpoint, and what waits",
    dependencies=[_READ],
    responses=responses("bad-cursor", "not-found", "database-unavailable"),
)
async def list_deliveries(
    services: ServicesDep,
    principal: PrincipalDep,
    endpoint: Id,
    query: Annotated[DeliveriesQuery, Query()],
    response: Response,
) -> Page[ShownDelivery]:
    found = await _found(services, principal, endpoint)
    path = f"/webhook-endpoints/{endpoint}/deliveries"
    async with services.database.connection() as connection:
        rows = await deliveries.listed(
            connection,
            found.id,
            state=query.state,
            after=position(path, query, _BY_TIME),
            limit=query.limit,
        )
    return page([_delivery(one) for one in rows.rows], rows.next, path, query, response)


@router.post(
    "/webhook-endpoints/{endpoint}/redeliver",
    status_code=202,
    summary="Send all again that is parked",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *_PROBLEMS),
)
async def redeliver_all(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, body: Act
) -> SentAgain:
    """At most 10,000 at once, the oldest first."""
    del body
    return await _sent_again(services, await _found(services, principal, endpoint), None)


@router.post(
    "/webhook-endpoints/{endpoint}/deliveries/{delivery}/redeliver",
    status_code=202,
    summary="Send one delivery again",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses("out-of-order", *_PROBLEMS),
)
async def redeliver_one(
    services: ServicesDep, principal: PrincipalDep, endpoint: Id, delivery: Id, body: Act
) -> SentAgain:
    """Whatever became of it, under the same id."""
    del body
    return await _sent_again(services, await _found(services, principal, endpoint), delivery)


@router.post(
    "/webhook-endpoints/{endpoint}/deliveries/{delivery}/discard",
    summary="Give a delivery up",
    dependencies=[_MANAGE, *JSON_BODY],
    responses=responses(*_PROBLEMS),
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
    found = await _found(services, principal, endpoint)
    async with services.database.connection() as connection:
        done = await deliveries.discard(connection, found.id, delivery, by=body.by(actor))
    if not done:
        raise Problem("not-found", f"no delivery {delivery} waits or is parked there")
    return NamedDelivery(endpoint=found.id, delivery=delivery, links=_links(found.id))


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


async def _found(services: Services, principal: Principal, endpoint: str) -> Endpoint:
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


async def _sent_again(services: Services, found: Endpoint, delivery: str | None) -> SentAgain:
    if found.state != "active":
        raise Problem("out-of-order", "it is disabled: enable it first")
    async with services.database.connection() as connection:
        count = await deliveries.send_again(connection, found.id, delivery)
    if not count and delivery is not None:
        raise Problem("not-found", f"there is no delivery {delivery}")
    return SentAgain(endpoint=found.id, deliveries=count, links=_links(found.id))


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
        "links": _links(one.id),
    }


def _delivery(one: Delivery) -> ShownDelivery:
    return of_row(ShownDelivery, one, delivery=one.id)


def _links(endpoint: str) -> Links:
    address = f"/webhook-endpoints/{endpoint}"
    return {"endpoint": address, "deliveries": f"{address}/deliveries"}

"""Dead and unrouted messages of the broker: what lies there, redrive, edit, discard; and drift."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from handrail import bounds
from handrail.http.access import needs
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.operator_reason import attribution
from handrail.http.problems import Problem, at, responses, unavailable
from handrail.http.schemas import Id, Links, Name, Why, of_row, text
from handrail.messaging.broker import dead_message_acts
from handrail.messaging.broker.dead_message import (
    Acted,
    DeadMessage,
    DeadQueue,
    NotFound,
    NotToBeEdited,
)
from handrail.messaging.broker.edited_body import as_sent, as_shown
from handrail.messaging.broker.operator_access import BrokerAccess

if TYPE_CHECKING:
    from handrail.messaging.broker.dead_messages import DeadMessages

router = APIRouter(tags=["consumers"])

_SHORT: Final = 2_000
_ACT_PROBLEMS: Final = responses(
    "not-found", "not-redriven", "broker-unavailable", "database-unavailable"
)
UNSET: Final = (
    "the API has no login at the broker: set HANDRAIL_BROKER_OPERATOR_URL and"
    " HANDRAIL_BROKER_OPERATOR_MANAGEMENT_URL, or use `handrail topology`"
)


class Drift(BaseModel):
    """Exchanges, queues and bindings that are not as declared; users, rights, policies and
    upstreams `handrail topology diff` compares, too.
    """

    missing: list[str]
    different: dict[str, str]
    unknown: list[str]


class LinkState(BaseModel):
    """How a virtual host is fed. `waiting` were not fetched yet, `missing` are binding keys that
    the upstream does not know.
    """

    vhost: str
    exchange: str
    link: str
    missing: list[str]
    waiting: int
    dead: int
    unrouted: int


class QueueStates(BaseModel):
    """`oldest` is known of dead and unrouted messages alone."""

    vhost: str
    queue: str
    waiting: int
    unacknowledged: int
    consumers: int
    oldest: datetime | None
    links: Links


class BrokerStates(BaseModel):
    """The counts are a few seconds old."""

    drift: Drift
    links: list[LinkState]
    queues: list[QueueStates]
    pages: str | None = Field(description="Where RabbitMQ's own pages are.")


class Dead(BaseModel):
    """A message that lies in `dead` or `unrouted`. `queue` is where it comes from, `since` when it
    came here, as far as that is known.
    """

    id: str
    message_id: str
    exchange: str
    routing_key: str
    queue: str
    cause: str
    since: datetime | None
    content_type: str
    headers: dict[str, Any]
    body: str = Field(
        description="Of a list at most 2,000 characters. Sealed texts stay so, and begin with ␞."
    )
    size: int = Field(description="Bytes of the body.")
    links: Links


class DoneBefore(BaseModel):
    """`settled_at` is null where the message may lie in its queue still, and its copy be elsewhere,
    for the process ended in between. `body` is as the message was, `edited` as its copy is.
    """

    id: int
    act: str
    message: str
    message_id: str
    routing_key: str
    sent_to: list[str]
    actor: str
    reason: str
    at: datetime
    settled_at: datetime | None
    body: str
    edited: str | None


class DeadMessagesPage(BaseModel):
    """In the order of their events, of at most 200. `total` is how many messages there are, `acts`
    what was done before: the newest 100.
    """

    total: int
    items: list[Dead]
    next: str | None
    acts: list[DoneBefore]


class LookQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Annotated[int, Field(ge=0, le=200)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Redriving(Why):
    """Either `messages`, or `all` of at most 1,000."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"all": True, "reason": "mended in 1.2.3"}]}
    )

    messages: Annotated[tuple[Id, ...], Field(max_length=200)] = ()
    all: bool = False

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.all == bool(self.messages):
            raise ValueError("say which messages, or all: true")
        return self


class Editing(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"body": '{"fee": 3}', "reason": "ticket 7"}]}
    )

    body: Annotated[str, text(bounds.JSON_TEXT)] = Field(
        description="The new body, as JSON text. Id and headers stay as they are."
    )


class DiscardingDead(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "booked by hand, ticket 7"}]}
    )


class ActedOn(BaseModel):
    """`done` are gone from the queue; `left` says of others why they are not."""

    done: list[str]
    left: dict[str, str]
    remaining: int
    links: Links


@router.get(
    "/broker",
    summary="Drift of the broker, its links and queues",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "broker-unavailable"),
)
async def show_broker(services: ServicesDep) -> BrokerStates:
    access = access_of(services)
    async with _dead_messages(services) as dead:
        from handrail.messaging.broker.broker_state import broker_state  # noqa: PLC0415  # an extra

        found = await broker_state(dead)
    return BrokerStates(
        drift=Drift(
            missing=[str(key) for key in found.drift.missing],
            different={str(key): said for key, said in found.drift.different.items()},
            unknown=[str(key) for key in found.drift.extra],
        ),
        links=[of_row(LinkState, one, missing=list(one.missing)) for one in found.links],
        queues=[
            of_row(QueueStates, one, links=_links(one.vhost, one.queue)) for one in found.queues
        ],
        pages=access.settings.broker_ui_url,
    )


@router.get(
    "/broker/{vhost}/{queue}/messages",
    summary="What lies in a queue of dead or unrouted messages",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "broker-unavailable", "database-unavailable"),
)
async def list_dead(
    services: ServicesDep, vhost: Name, queue: DeadQueue, query: Annotated[LookQuery, Query()]
) -> DeadMessagesPage:
    """To look takes nothing away."""
    async with _dead_messages(services) as dead:
        found = await dead.look(vhost, queue, after=query.after, limit=query.limit)
    async with services.database.connection() as connection:
        acts = await dead_message_acts.recent(connection, vhost, queue)
    after = query.after + len(found.messages)
    more = after < min(found.total, bounds.PAGE.most) and found.messages
    where = f"/broker/{vhost}/{queue}/messages"
    return DeadMessagesPage(
        total=found.total,
        items=[_shown(one, vhost, queue, _SHORT) for one in found.messages],
        next=f"{where}?after={after}&limit={query.limit}" if more else None,
        acts=[
            of_row(
                DoneBefore,
                one,
                body=as_shown(one.body.decode(errors="replace"))[:_SHORT],
                edited=None if one.edited is None else as_shown(one.edited.decode())[:_SHORT],
            )
            for one in acts
        ],
    )


@router.get(
    "/broker/{vhost}/{queue}/messages/{message}",
    summary="A dead or unrouted message",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "broker-unavailable"),
)
async def show_dead(services: ServicesDep, vhost: Name, queue: DeadQueue, message: Id) -> Dead:
    async with _dead_messages(services) as dead:
        found = await dead.one(vhost, queue, message)
    return _shown(found, vhost, queue, bounds.JSON_TEXT.longest)


@router.post(
    "/broker/{vhost}/{queue}/redrive",
    summary="Put messages into the queues that they were for",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=_ACT_PROBLEMS,
)
async def redrive(
    services: ServicesDep, actor: ActorDep, vhost: Name, queue: DeadQueue, body: Redriving
) -> ActedOn:
    """Dead messages go to the queue that they come from, unrouted ones to those that are bound to
    their key now. Each is taken away once the broker has its copy: a failure in between leaves it
    twice, with the same id. The original is kept for a year.
    """
    async with _dead_messages(services) as dead:
        by = await attribution(services, body, actor)
        done = await dead.redrive(vhost, queue, by, ids=body.messages)
    return _acted(done, vhost, queue)


@router.post(
    "/broker/{vhost}/{queue}/messages/{message}/edit",
    summary="Redrive a message with another body",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=_ACT_PROBLEMS,
)
async def edit(
    *,
    services: ServicesDep,
    actor: ActorDep,
    vhost: Name,
    queue: DeadQueue,
    message: Id,
    body: Editing,
) -> ActedOn:
    """Its id and headers stay; the original is kept for a year. Sealed texts of the body stay as
    they are shown: one that is replaced by a text in clear is refused.
    """
    async with _dead_messages(services) as dead:
        by = await attribution(services, body, actor)
        done = await dead.edit(vhost, queue, by, message, as_sent(body.body).encode())
    return _acted(done, vhost, queue)


@router.post(
    "/broker/{vhost}/{queue}/messages/{message}/discard",
    summary="Take a message away",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=_ACT_PROBLEMS,
)
async def discard(
    *,
    services: ServicesDep,
    actor: ActorDep,
    vhost: Name,
    queue: DeadQueue,
    message: Id,
    body: DiscardingDead,
) -> ActedOn:
    """What it was is kept for a year."""
    async with _dead_messages(services) as dead:
        by = await attribution(services, body, actor)
        done = await dead.discard(vhost, queue, by, [message])
    return _acted(done, vhost, queue)


def access_of(services: Services) -> BrokerAccess:
    """Raises Problem where the API has no login at the broker, or the App declares none."""
    if services.app.broker is None:
        raise Problem("not-found", "the App declares no broker")
    if services.broker is None:
        raise Problem("not-found", UNSET)
    return services.broker


@asynccontextmanager
async def _dead_messages(services: Services) -> AsyncIterator[DeadMessages]:
    """What lies at the broker. Raises Problem as `access_of` does, and for what the broker says."""
    access = access_of(services)
    from handrail.messaging.broker.management_api import BrokerSaidNo  # noqa: PLC0415  # an extra

    try:
        app = services.app
        yield access.dead_messages(app.routing, app.consumers, services.database.connection)
    except NotFound as none:
        raise Problem("not-found", str(none)) from None
    except NotToBeEdited as wrong:
        raise Problem("invalid-request", str(wrong), [at("#/body", str(wrong))]) from None
    except BrokerSaidNo as no:
        raise unavailable("broker-unavailable", str(no)) from None


def _shown(one: DeadMessage, vhost: str, queue: str, longest: int) -> Dead:
    where = f"/broker/{vhost}/{queue}/messages"
    return of_row(
        Dead,
        one,
        body=as_shown(one.text)[:longest],
        size=len(one.body),
        links={"message": f"{where}/{one.id}", "messages": where},
    )


def _acted(done: Acted, vhost: str, queue: str) -> ActedOn:
    """Raises Problem where nothing was done and something should have been."""
    if done.left and not done.done:
        raise Problem("not-redriven", "; ".join(dict.fromkeys(done.left.values())))
    return ActedOn(
        done=list(done.done),
        left=dict(done.left),
        remaining=done.remaining,
        links=_links(vhost, queue),
    )


def _links(vhost: str, queue: str) -> Links:
    if queue not in {"dead", "unrouted"}:
        return {}
    return {"messages": f"/broker/{vhost}/{queue}/messages"}

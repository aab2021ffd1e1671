"""Consumers of events: how far they are, and the streams of theirs that wait for a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, cast

import psycopg
from fastapi import APIRouter, Query, Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail import bounds
from handrail.catalogue import UnknownConsumer
from handrail.database_engine import driver_connection
from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Connection
from handrail.http.access import needs
from handrail.http.database import Database, other_store
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.operator_reason import attribution
from handrail.http.pagination import BY_VERSION, Page, PageQuery, page, position
from handrail.http.problems import Problem, responses, unavailable
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Links, Moment, Name, Why, of_row, whole
from handrail.messaging.consumers import parked_messages
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.parked_messages import NothingParked

router = APIRouter(tags=["consumers"])

_BY_STREAM: Final[TypeAdapter[tuple[datetime, str]]] = TypeAdapter(tuple[Moment, StreamName])
_RETRY_LIMIT: Final = 30.0
"""Seconds. What was handled by then stays handled."""


class ConsumerState(BaseModel):
    """`parked_messages` wait for a person, `waiting_messages` for newer code; those behind the
    first of their stream included.
    """

    name: str
    vhost: str
    queue: str
    ordered: bool
    wants: list[str]
    parked_streams: int
    parked_messages: int
    waiting_streams: int
    waiting_messages: int
    links: Links


class ConsumerStates(BaseModel):
    items: list[ConsumerState]


class WaitingStream(BaseModel):
    """The first message that waits, and how many there are with it."""

    stream: str
    parked_at: datetime
    version: int
    type: str
    cause: str
    attempts: int = Field(description="How often it was tried.")
    waiting: int
    links: Links


class WaitingMessage(BaseModel):
    version: int
    type: str
    schema_: int = Field(serialization_alias="schema")
    recorded_at: datetime
    cause: str
    attempts: int
    parked_at: datetime
    data: dict[str, Any]


class Settling(Why):
    """Who has it done, and why: stored with every message it settles."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"actor": "ann", "reason": "mended in 1.2.3"}]}
    )


class Discarding(Settling):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"actor": "ann", "reason": "booked by hand, ticket 7"}]}
    )

    version: Annotated[int, whole(bounds.VERSION, strict=False)] | None = Field(
        default=None, description="Which message. Without: the first that waits."
    )


class Retried(BaseModel):
    """`stopped_by` is the message that failed again; the ones behind it still wait."""

    consumer: str
    stream: str
    handled: int
    stopped_by: WaitingMessage | None
    links: Links


class Discarded(BaseModel):
    consumer: str
    stream: str
    version: int
    links: Links


@router.get(
    "/consumers",
    summary="Who consumes events, and what waits",
    dependencies=[needs("consumers:read")],
    responses=responses("database-unavailable"),
)
async def list_consumers(services: ServicesDep) -> ConsumerStates:
    async with services.database.snapshot() as connection:
        counts = await parked_at_consumers(connection, services.app.consumers)
        unread = await parked_at_consumers(
            connection, services.app.consumers, of=parked_messages.waiting_counts
        )
    states = []
    for one in services.app.consumers:
        streams, messages = counts[one.name]
        waiting_streams, waiting_messages = unread[one.name]
        states.append(
            ConsumerState(
                name=one.name,
                vhost=one.vhost,
                queue=one.queue,
                ordered=one.ordered,
                wants=sorted(one.types),
                parked_streams=streams,
                parked_messages=messages,
                waiting_streams=waiting_streams,
                waiting_messages=waiting_messages,
                links={"parked": f"/consumers/{one.name}/parked"},
            )
        )
    return ConsumerStates(items=states)


@router.get(
    "/consumers/{name}/parked",
    summary="The streams of a consumer that wait for a person",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def list_parked(
    services: ServicesDep, response: Response, name: Name, query: Annotated[PageQuery, Query()]
) -> Page[WaitingStream]:
    """The longest waiting first. What comes later of such a stream waits behind its first one."""
    _known(services, name)
    path = f"/consumers/{name}/parked"
    after = cast("tuple[datetime, str] | None", position(path, query, _BY_STREAM))
    async with _connected(services.database) as connection:
        found = await parked_messages.streams(connection, name, after=after, limit=query.limit + 1)
    shown = found[: query.limit]
    next_ = (shown[-1].parked_at, shown[-1].stream) if len(found) > query.limit else None
    items = [of_row(WaitingStream, one, links=_links(name, one.stream)) for one in shown]
    return page(items, next_, path, query, response)


@router.get(
    "/consumers/{name}/parked/{stream}",
    summary="The messages of a stream that wait",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_parked(
    services: ServicesDep,
    response: Response,
    name: Name,
    stream: StreamName,
    query: Annotated[PageQuery, Query()],
) -> Page[WaitingMessage]:
    """In the order in which they will be handled."""
    _known(services, name)
    path = f"/consumers/{name}/parked/{stream}"
    after = position(path, query, BY_VERSION)
    async with _connected(services.database) as connection:
        found = await parked_messages.messages(
            connection, name, stream, after=after[0] if after else 0, limit=query.limit + 1
        )
    if not found and after is None:
        raise Problem("not-found", f"nothing of {stream} waits for {name}")
    shown = found[: query.limit]
    next_ = (shown[-1].version,) if len(found) > query.limit else None
    return page([_message(one) for one in shown], next_, path, query, response)


@router.post(
    "/consumers/{name}/parked/{stream}/retry",
    summary="Handle what waits of a stream, in its order",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def retry(
    services: ServicesDep, actor: ActorDep, name: Name, stream: StreamName, body: Settling
) -> Retried:
    """Stops at the first message that fails again. Once nothing is left the stream flows."""
    consumer = _known(services, name)
    by = await attribution(services, body, actor, stream=stream)
    async with _connected(services.database, _RETRY_LIMIT) as connection:
        done = await parked_messages.retry(connection, consumer, services.app.codec, stream, by)
    return Retried(
        consumer=name,
        stream=stream,
        handled=done.handled,
        stopped_by=done.stopped_by and _message(done.stopped_by),
        links=_links(name, stream),
    )


@router.post(
    "/consumers/{name}/parked/{stream}/discard",
    summary="Never handle a message that waits",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def discard(
    services: ServicesDep, actor: ActorDep, name: Name, stream: StreamName, body: Discarding
) -> Discarded:
    """The first one, or that of `version`. Those behind it are handled by a retry."""
    _known(services, name)
    by = await attribution(services, body, actor, stream=stream)
    async with _connected(services.database) as connection:
        version = await parked_messages.discard(connection, name, stream, by, version=body.version)
    return Discarded(consumer=name, stream=stream, version=version, links=_links(name, stream))


async def parked_at_consumers(
    connection: AsyncConnection,
    consumers: Iterable[Consumer],
    of: Callable[[Connection], Awaitable[parked_messages.Counts]] = parked_messages.counts,
) -> Mapping[str, tuple[int, int]]:
    """How many streams and messages wait at each consumer, for a person or for newer code."""
    found = await of(await driver_connection(connection))
    return {one.name: found.get(one.name, (0, 0)) for one in consumers}


@asynccontextmanager
async def _connected(database: Database, limit: float = 5.0) -> AsyncIterator[Connection]:
    """Consumers work on the driver's own connection.

    Raises Problem for what does not wait, and for a database that does not answer.
    """
    try:
        async with database.connection(limit) as connection:
            yield await driver_connection(connection)
    except NothingParked as nothing:
        raise Problem("not-found", str(nothing)) from None
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        if refused := refused_in(error):
            raise other_store(refused) from None
        raise unavailable("database-unavailable", "PostgreSQL cannot be reached") from None


def _known(services: Services, name: str) -> Consumer:
    try:
        return services.app.consumer(name)
    except UnknownConsumer as unknown:
        raise Problem("not-found", str(unknown)) from None


def _message(one: parked_messages.ParkedMessage) -> WaitingMessage:
    return of_row(WaitingMessage, one, schema_=one.schema)


def _links(name: str, stream: str) -> Links:
    path = f"/consumers/{name}/parked/{stream}"
    return {"messages": path, "stream": f"/streams/{stream}", "consumer": "/consumers"}

"""Parked events of read models and of the relay: what waits, why, and a retry.

The API writes no read model and publishes nothing. A retry is stored as a request, and a projector
or a relay does it within seconds (`handrail/eventstore/retry_requests.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from handrail.database_engine import driver_connection
from handrail.eventstore import newer_code_waits, retry_requests
from handrail.eventstore.newer_code_waits import Waits
from handrail.eventstore.retry_requests import RetryRequest
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.http.access import needs
from handrail.http.actor_name import ActorName
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.operator_reason import attribution
from handrail.http.problems import Problem, responses
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Links, Name, Why, of_row
from handrail.messaging.broker.plan import UNKNOWN
from handrail.messaging.relay import parked_messages
from handrail.messaging.relay.parked_messages import RELAY
from handrail.projections import parked_rows
from handrail.projections.projection import id_of

router = APIRouter(tags=["consumers"])

SHOWN: Final = 100
"""How many rows, streams and shards an answer has at most, the longest waiting first."""
EVERYTHING: Final = ""
"""The stream of a request to retry all that is parked."""


class RequestedRetry(BaseModel):
    """`state` is `waiting` until a process has worked it off; then `handled` is how many events
    were applied or published, and `stopped_by` why something still waits, or empty. `subscriber` is
    the read model, `relay`, or `relay/` with an exchange.
    """

    subscriber: str
    stream: str = Field(description="Empty: all that was parked.")
    state: str
    actor: str
    reason: str
    requested_at: datetime
    settled_at: datetime | None
    handled: int | None
    stopped_by: str | None


class ReadModelState(BaseModel):
    """How far a read model is behind: `seconds` is the age of the oldest event that it has not
    read. `parked_events` wait for a person, `waiting_shards` for newer code.
    """

    name: str
    events: int
    seconds: float
    parked_events: int
    waiting_shards: int
    unowned_shards: int
    links: Links


class ReadModelStates(BaseModel):
    items: list[ReadModelState]


class ParkedRow(BaseModel):
    """A row that stands still: `cause` is why the first of its events could not be applied."""

    id: str
    stream: str
    position: int
    cause: str
    parked_at: datetime
    events: int
    links: Links


class WaitingShard(BaseModel):
    """It stands before an event that the code of the running processes cannot read."""

    shard: int
    type: str
    schema_: int = Field(serialization_alias="schema")
    stream: str
    position: int
    since: datetime


class ParkedRows(BaseModel):
    """At most 100 of each, the longest waiting first."""

    items: list[ParkedRow]
    waiting: list[WaitingShard]
    retries: list[RequestedRetry]


class RelayStream(BaseModel):
    """A stream that an exchange does not get: `cause` is why its first event was not published."""

    exchange: str
    stream: str
    events: int
    cause: str
    since: datetime
    links: Links


class RelayParked(BaseModel):
    """At most 100 of each, the longest waiting first."""

    items: list[RelayStream]
    waiting: list[WaitingShard]
    retries: list[RequestedRetry]


class Retrying(Why):
    """Who has it done, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"actor": "ann", "reason": "mended in 1.2.3"}]}
    )


class RetryAccepted(BaseModel):
    """What came of it is where `links` lead, some seconds later."""

    requested_at: datetime
    links: Links


@router.get(
    "/read-models",
    summary="How far the read models are, and what waits",
    dependencies=[needs("consumers:read")],
    responses=responses("database-unavailable"),
)
async def list_read_models(services: ServicesDep) -> ReadModelStates:
    async with services.database.connection() as connection:
        standing = await lag(connection)
    names = services.app.read_model_names
    return ReadModelStates(items=[_state(one) for one in standing if one.follower in names])


@router.get(
    "/read-models/{name}/parked",
    summary="The rows of a read model that stand still",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_parked_rows(
    services: ServicesDep,
    name: Name,
    stream: Annotated[
        StreamName | None, Query(description="Only the row that this stream is part of.")
    ] = None,
) -> ParkedRows:
    """With what waits there for newer code, and the retries of the last two days."""
    known_read_model(services, name)
    row = None if stream is None else id_of(stream)
    async with services.database.snapshot() as connection:
        rows = await parked_rows.parked(connection, SHOWN, projection=name, row=row)
        waits = await newer_code_waits.waiting(await driver_connection(connection), [name])
        retries = await retry_requests.recent(connection, [name], stream)
    return ParkedRows(
        items=[of_row(ParkedRow, one, links=_of_row(name, one.stream)) for one in rows],
        waiting=waiting_shards(waits),
        retries=[requested(one) for one in retries],
    )


@router.post(
    "/read-models/{name}/retry",
    status_code=202,
    summary="Apply all that is parked at a read model",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def retry_rows(
    services: ServicesDep, actor: ActorDep, name: Name, body: Retrying
) -> RetryAccepted:
    """A projector does it, each row in the order of its events."""
    known_read_model(services, name)
    links = {"parked": f"/read-models/{name}/parked"}
    return await _requested(services, body, actor, name, EVERYTHING, parked_at=[name], links=links)


@router.post(
    "/read-models/{name}/parked/{stream}/retry",
    status_code=202,
    summary="Apply what is parked for the row of a stream",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def retry_row(
    services: ServicesDep, actor: ActorDep, name: Name, stream: StreamName, body: Retrying
) -> RetryAccepted:
    """A projector does it, in the order of the events, up to the first that fails again."""
    known_read_model(services, name)
    return await _requested(
        services, body, actor, name, stream, parked_at=[name], links=_of_row(name, stream)
    )


@router.get(
    "/relay/parked",
    summary="The streams that could not be published",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_parked_at_the_relay(
    services: ServicesDep,
    stream: Annotated[StreamName | None, Query(description="Only this stream.")] = None,
) -> RelayParked:
    """With what waits there for newer code, and the retries of the last two days."""
    exchanges = _exchanges(services)
    async with services.database.snapshot() as connection:
        driver = await driver_connection(connection)
        streams = await parked_messages.parked_streams(driver, exchanges, stream, limit=SHOWN)
        waits = await newer_code_waits.waiting(driver, [RELAY])
        names = [RELAY, *(parked_messages.name_at(one) for one in exchanges)]
        retries = await retry_requests.recent(connection, names, stream)
    return RelayParked(
        items=[of_row(RelayStream, one, links=_at_relay(one.stream)) for one in streams],
        waiting=waiting_shards(waits),
        retries=[requested(one) for one in retries],
    )


@router.post(
    "/relay/retry",
    status_code=202,
    summary="Publish all that could not be",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def retry_relay(services: ServicesDep, actor: ActorDep, body: Retrying) -> RetryAccepted:
    """A relay does it, each stream in order."""
    parked_at = parked_messages.names_at(_exchanges(services))
    return await _requested(
        services,
        body,
        actor,
        RELAY,
        EVERYTHING,
        parked_at=parked_at,
        links={"parked": "/relay/parked"},
    )


@router.post(
    "/relay/{exchange}/parked/{stream}/retry",
    status_code=202,
    summary="Publish what an exchange did not get of a stream",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def retry_relay_stream(
    services: ServicesDep, actor: ActorDep, exchange: Name, stream: StreamName, body: Retrying
) -> RetryAccepted:
    """A relay does it, in order, up to the first that is refused again."""
    if exchange not in _exchanges(services):
        raise Problem("not-found", f"there is no exchange {exchange}")
    name = parked_messages.name_at(exchange)
    return await _requested(
        services, body, actor, name, stream, parked_at=[name], links=_at_relay(stream)
    )


def requested(one: RetryRequest) -> RequestedRetry:
    """As it is shown."""
    return of_row(RequestedRetry, one, state="done" if one.settled_at else "waiting")


def waiting_shards(waits: Sequence[Waits]) -> list[WaitingShard]:
    """As they are shown."""
    return [of_row(WaitingShard, one, schema_=one.schema) for one in waits[:SHOWN]]


async def _requested(
    services: Services,
    body: Retrying,
    actor: ActorName,
    subscriber: str,
    stream: str,
    *,
    parked_at: Sequence[str],
    links: Mapping[str, str],
) -> RetryAccepted:
    by = await attribution(services, body, actor, stream=stream)
    async with services.database.connection() as connection:
        stored = await retry_requests.request(connection, subscriber, stream, by, parked_at)
    if stored is None:
        raise Problem("not-found", f"nothing of {stream or 'it'} is parked at {subscriber}")
    return RetryAccepted(requested_at=stored.requested_at, links=dict(links))


def known_read_model(services: Services, name: str) -> None:
    """Raises Problem for a name of none."""
    if name not in {one.name for one in services.app.read_models}:
        raise Problem("not-found", f"there is no read model {name}")


def _exchanges(services: Services) -> tuple[str, ...]:
    """With that of events whose exchange is not known yet. Raises Problem without a broker."""
    if services.app.broker is None:
        raise Problem("not-found", "the App declares no broker, so there is no relay")
    return (*services.app.routing.exchanges, UNKNOWN)


def _state(one: Lag) -> ReadModelState:
    return ReadModelState(
        name=one.follower,
        events=one.events,
        seconds=one.seconds,
        parked_events=one.parked,
        waiting_shards=one.waiting,
        unowned_shards=one.unowned,
        links={"parked": f"/read-models/{one.follower}/parked"},
    )


def _of_row(name: str, stream: str) -> Links:
    return {
        "parked": f"/read-models/{name}/parked?stream={stream}",
        "stream": f"/streams/{stream}",
    }


def _at_relay(stream: str) -> Links:
    return {"parked": "/relay/parked", "stream": f"/streams/{stream}"}

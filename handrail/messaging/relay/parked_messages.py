"""What the relay could not publish waits, by exchange and stream, in order until somebody retries.

In `parked_events` the follower's name is `relay/events` for what the exchange `events` would have
got, and `relay/unknown` for an event whose exchanges nobody can tell yet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handrail.eventstore import parked_events
from handrail.eventstore.flush import FLUSHED
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.messaging.broker.plan import UNKNOWN

RELAY: Final = "relay"
"""The relay's name among those who follow the feed."""
BEHIND: Final = "waits behind an earlier event of its stream"

Place = tuple[str, str]
"""An exchange and a stream: events keep their order in each."""


@dataclass(frozen=True)
class Parked(parked_events.Parked):
    exchange: str


@dataclass(frozen=True)
class ParkedStream:
    """`cause` is why the first of its events waits; `since` is when that was parked."""

    exchange: str
    stream: str
    events: int
    cause: str
    since: datetime


@dataclass(frozen=True)
class Waiting:
    """An event that waits, once for each exchange it waits for."""

    exchange: str
    recorded: Recorded


def name_at(exchange: str) -> str:
    """Under which name events are parked that an exchange has to get."""
    return f"{RELAY}/{exchange}"


def names_at(exchanges: Collection[str]) -> list[str]:
    """Of each of these exchanges, and of those that are not known yet."""
    return [name_at(exchange) for exchange in (*exchanges, UNKNOWN)]


_EXCHANGE: Final = f"substr(projection, {len(RELAY) + 2})"


async def places(
    connection: Connection, exchanges: Collection[str], streams: Collection[str]
) -> set[Place]:
    """Where events of these streams wait. What was read before is flushed then: it may go out."""
    cursor = await connection.execute(
        f"WITH flushed AS MATERIALIZED ({FLUSHED})"
        f" SELECT {_EXCHANGE}, stream FROM parked_events"
        " WHERE projection = ANY (%s) AND stream = ANY (%s)"
        " UNION SELECT NULL, NULL FROM flushed",
        (names_at(exchanges), list(streams)),
    )
    return {(exchange, stream) for exchange, stream in await cursor.fetchall() if stream}


async def still_wait(connection: Connection, wanted: Collection[Place]) -> bool:
    """Whether events still wait in each of these places.

    Until the transaction ends nobody works them off; who is doing so is waited for.
    """
    cursor = await connection.execute(
        f"SELECT {_EXCHANGE}, stream FROM parked_events WHERE (projection, stream) IN"
        " (SELECT * FROM unnest(%s::text[], %s::text[])) FOR SHARE",
        ([name_at(exchange) for exchange, _ in wanted], [stream for _, stream in wanted]),
    )
    return set(wanted) == {(exchange, stream) for exchange, stream in await cursor.fetchall()}


async def park(connection: Connection, parked: Sequence[Parked]) -> None:
    """Those of one stream in their order."""
    await parked_events.park(connection, [(name_at(event.exchange), event) for event in parked])


async def free(connection: Connection, exchange: str, stream: str, position: int) -> None:
    await parked_events.release(connection, name_at(exchange), [stream], [position])


async def keep(connection: Connection, parked: Sequence[Parked]) -> None:
    """The same for events that may wait there already: they wait on, for this cause."""
    for event in parked:
        await parked_events.park_again(connection, name_at(event.exchange), event)


async def waiting(
    connection: Connection, stream: str, exchanges: Collection[str], limit: int
) -> Sequence[Waiting]:
    """The first of what waits of a stream for these exchanges, in order; the relay is kept out of
    it until the transaction ends.
    """
    names = [name_at(exchange) for exchange in exchanges]
    found = await parked_events.lock_first(connection, names, [stream], limit)
    return [Waiting(name.removeprefix(f"{RELAY}/"), recorded) for name, recorded in found]


async def parked_streams(
    connection: Connection,
    exchanges: Collection[str],
    stream: str | None = None,
    limit: int | None = None,
) -> Sequence[ParkedStream]:
    """What waits for these exchanges, of one stream or of all, the longest first."""
    cursor = await connection.execute(
        f"SELECT * FROM (SELECT DISTINCT ON (projection, stream) {_EXCHANGE}, stream,"
        " count(*) OVER (PARTITION BY projection, stream), cause, parked_at FROM parked_events"
        " WHERE projection = ANY (%s) AND stream = coalesce(%s, stream)"
        " ORDER BY projection, stream, position) AS p ORDER BY parked_at, 1, 2 LIMIT %s",
        ([name_at(exchange) for exchange in exchanges], stream, limit),
    )
    return [ParkedStream(*row) for row in await cursor.fetchall()]


async def forget_parked(connection: Connection, exchanges: Collection[str]) -> int:
    """Nobody will publish what waits; answers how many events, once for each exchange."""
    gone = await connection.execute(
        "DELETE FROM parked_events WHERE projection = ANY (%s)", (names_at(exchanges),)
    )
    return gone.rowcount

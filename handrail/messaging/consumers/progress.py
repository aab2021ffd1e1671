"""How far consumers are, what they read from history, and how to bring one back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.messaging.consumers import backfill
from handrail.messaging.consumers.backfill import NOWHERE, read_on
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import covers
from handrail.messaging.consumers.rewind import (
    COUNTED,
    Affected,
    CannotRewind,
    affected,
    position_before,
    rewind,
)
from handrail.messaging.consumers.wants import register
from handrail.terminal_tables import Column, Table

Result = tuple[int, dict[str, Any]]
_SAY_YES: Final = "Nothing was changed. With --yes it is done."


class Unwanted(Exception):
    """The consumer does not want a type that was named."""


@dataclass(frozen=True)
class Target:
    """Where to go back to: behind a position, or to the first event of a moment or later."""

    position: int | None
    moment: datetime | None


@dataclass(frozen=True)
class Standing:
    consumer: str
    shards: int
    unread: int
    owned: int
    moved_at: datetime | None
    from_history: Sequence[str]
    unwanted: Sequence[str]
    unregistered: Sequence[str]


async def standing(connection: Connection, consumer: Consumer) -> Standing:
    """`unread` counts the events of the outbox that its checkpoints do not cover, of every type."""
    cursor = await connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE c.owner IS NOT NULL"
        "  AND c.leased_until > clock_timestamp()), max(c.moved_at)"
        " FROM checkpoints c WHERE c.projection = %s",
        (consumer.follower,),
    )
    [(shards, owned, moved_at)] = await cursor.fetchall()
    cursor = await connection.execute(
        "SELECT w.type, count(b.shard) FROM consumer_wants w LEFT JOIN consumer_backfills b"
        " ON b.consumer = w.consumer AND b.type = w.type"
        " WHERE w.consumer = %s GROUP BY w.type ORDER BY w.type",
        (consumer.name,),
    )
    wanted: dict[str, int] = dict(await cursor.fetchall())
    return Standing(
        consumer=consumer.name,
        shards=shards,
        unread=await _unread(connection, consumer),
        owned=owned,
        moved_at=moved_at,
        from_history=[one for one, left in wanted.items() if left and one in consumer.types],
        unwanted=[one for one in wanted if one not in consumer.types],
        unregistered=sorted(consumer.types - wanted.keys()) if shards else [],
    )


async def _unread(connection: Connection, consumer: Consumer) -> int:
    """At most a million are counted."""
    cursor = await connection.execute(
        "SELECT count(*) FROM (SELECT FROM checkpoints c CROSS JOIN LATERAL ("
        "  SELECT o.* FROM outbox o WHERE o.txid >= pg_snapshot_xmax(c.since)"
        "  UNION ALL"
        "  SELECT o.* FROM outbox o WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since)))"
        " ) AS o WHERE c.projection = %s AND o.shard = c.shard"
        " AND NOT coalesce(pg_visible_in_snapshot(o.txid, c.until)"
        "  AND o.position <= c.after_position, false) LIMIT %s) AS unread",
        (consumer.follower, COUNTED),
    )
    [(unread,)] = await cursor.fetchall()
    return int(unread)


async def show_standing(
    connection: Connection, console: Console, consumers: Sequence[Consumer]
) -> Result:
    """1 where types are to be read from history."""
    found = [await standing(connection, consumer) for consumer in consumers]
    table_of(found, consumers).print(console)
    for one in found:
        _say_types(console, one)
    return int(any(one.from_history or one.unregistered for one in found)), {
        "consumers": [
            {
                "name": one.consumer,
                "unread": one.unread,
                "shards": one.shards,
                "shards_read": one.owned,
                "moved_at": one.moved_at,
                "from_history": one.from_history,
                "unwanted": one.unwanted,
                "unregistered": one.unregistered,
            }
            for one in found
        ]
    }


def table_of(found: Sequence[Standing], consumers: Sequence[Consumer]) -> Table:
    table = Table(
        (
            Column("consumer"),
            Column("unread events", right=True),
            Column("shards read"),
            Column("moved at"),
            Column("types", rank=1, right=True),
        )
    )
    for one, consumer in zip(found, consumers, strict=True):
        moved = f"{one.moved_at:%F %T}" if one.moved_at else "never"
        shards = f"{one.owned} of {one.shards}" if one.shards else "it has not begun"
        table.add(one.consumer, str(one.unread), shards, moved, str(len(consumer.types)))
    return table


def _say_types(console: Console, one: Standing) -> None:
    for types, said in (
        (one.from_history, "are being read from history, or wait for that"),
        (one.unregistered, "were added, and no process that wants them has begun yet"),
        (one.unwanted, "are wanted no more: if they are again, it goes on where it stopped"),
    ):
        if types:
            console.print(f"{one.consumer}: {', '.join(types)} {said}", highlight=False)
    if one.from_history or one.unregistered:
        console.print(
            f"  a running process does it; handrail consumers backfill {one.consumer} does it now",
            highlight=False,
        )


async def read_history(
    connection: Connection, console: Console, consumer: Consumer, codec: Codec, *, yes: bool
) -> Result:
    """0 where nothing is left to be read."""
    if yes:
        await register(connection, consumer)
        return await _read(connection, console, consumer, codec)
    one = await standing(connection, consumer)
    types = sorted({*one.from_history, *one.unregistered})
    counts = await _left(connection, consumer, types)
    for type_, count in counts.items():
        console.print(f"{type_}: {_number(count)} events of the store", highlight=False)
    if not types:
        console.print(f"{consumer.name} has the history of all that it wants")
        return 0, {"types": {}, "done": True}
    console.print(
        "They are handled in the order of their streams; those that were handled already have no"
        " effect. Behind later events of other types, which were handled before, they come late."
    )
    console.print(_SAY_YES)
    return 1, {"types": counts, "done": False}


async def _left(connection: Connection, consumer: Consumer, types: Sequence[str]) -> dict[str, int]:
    """How many events of each type are not covered yet, counted up to a million."""
    cursor = await connection.execute(
        "SELECT t.type, (SELECT count(*) FROM (SELECT FROM events e"
        " LEFT JOIN consumer_backfills b"
        " ON b.consumer = %(consumer)s AND b.type = e.type AND b.shard = e.shard"
        f" WHERE e.type = t.type AND NOT coalesce({covers('b', 'e')}, false)"
        " AND (b.shard IS NOT NULL OR NOT EXISTS (SELECT FROM consumer_wants w"
        "  WHERE w.consumer = %(consumer)s AND w.type = e.type)) LIMIT %(limit)s) AS e)"
        " FROM unnest(%(types)s::text[]) AS t (type) ORDER BY t.type",
        {"consumer": consumer.name, "types": list(types), "limit": COUNTED + 1},
    )
    return dict(await cursor.fetchall())


async def _read(
    connection: Connection, console: Console, consumer: Consumer, codec: Codec
) -> Result:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("position {task.completed:.0f} of {task.total:.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(consumer.name, total=1)

        def report(at: backfill.Progress) -> None:
            progress.update(task, completed=at.position, total=max(at.newest, 1))

        handled, _ = await read_on(connection, consumer, codec, report=report)
    left = await backfill.groups(connection, consumer)
    console.print(f"{handled} events were read from history")
    if left:
        console.print("old processes leave more behind: once they are gone, do it again")
    return int(bool(left)), {"read": handled, "done": not left}


async def bring_back(
    connection: Connection,
    console: Console,
    consumer: Consumer,
    target: Target,
    types: Sequence[str],
    *,
    by: tuple[str, str],
    yes: bool,
) -> Result:
    """0 once it is rewound; 1 where it was only said what that would do, or cannot be done.

    Raises Unwanted.
    """
    if unknown := set(types) - consumer.types:
        raise Unwanted(f"{consumer.name} does not want {', '.join(sorted(unknown))}")
    chosen = sorted(types or consumer.types)
    position = await _position(connection, target)
    again = await affected(connection, consumer, position, chosen)
    _say_affected(console, consumer, position, again)
    figures = {
        "position": position,
        "events": again.events,
        "more": again.more,
        "types": dict(again.types),
        "since": again.since,
        "repeated": consumer.repeated,
        "rewound": False,
    }
    if not again.events:
        return 0, figures
    if not yes:
        console.print(_SAY_YES)
        return 1, figures
    actor, reason = by
    try:
        await rewind(connection, consumer, position, chosen, actor=actor, reason=reason)
    except CannotRewind as why:
        console.print(str(why), highlight=False)
        return 1, figures
    console.print(
        "It is rewound. A running process reads on from there;"
        f" handrail consumers backfill {consumer.name} --yes does it now.",
        highlight=False,
    )
    return 0, {**figures, "rewound": True}


async def _position(connection: Connection, target: Target) -> int:
    if target.moment is None:
        return min(target.position or 0, NOWHERE)
    moment = target.moment
    return await position_before(
        connection, moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    )


def _say_affected(console: Console, consumer: Consumer, position: int, again: Affected) -> None:
    if not again.events:
        console.print(f"{consumer.name} has handled nothing behind position {position}")
        return
    more = "more than " if again.more else ""
    console.print(
        f"{consumer.name} handles {more}{min(again.events, COUNTED)} events again, which it has"
        f" handled before: those behind position {position}, recorded since {again.since:%F %T}.",
        highlight=False,
    )
    for type_, count in again.types.items():
        console.print(f"  {type_}: {count}", highlight=False)
    console.print(f"What is handled twice there: {consumer.repeated}.", highlight=False)
    console.print("What was discarded stays discarded. Queues bring nothing again for this.")


def _number(count: int) -> str:
    return f"more than {COUNTED}" if count > COUNTED else str(count)

"""Copies a few real sagas until there are as many as wanted, with ids and times of their own.

Rows with a mark in them (`tests/console_size/seeding.py`) go into the schema `seeds`, and from
there as sets into the tables: the mark becomes the number of the copy, moments move into the past,
and positions go on. What is bounded by people and not by history (parked sagas, rows and messages,
interventions, proposals) is as much in each database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg

from runtime.app import HANDRAIL
from tests.console_size.seeding import ENDED, WAITING

BIG: Final = f"m{ENDED[0]}-{10:08x}"
"""The merchant of every fifth saga."""
WAITING_COPIES: Final = 50
_ACTS: Final = 100
"""Of operators, on each day."""
_ROWS_AT_ONCE: Final = 100_000
_IN_OUTBOX: Final = 100_000
_EVERY: Final = "20 seconds"
"""From the beginning of a copy to that of the next."""
_LONG_AGO: Final = "3"
"""The first number that a transaction can have."""
_STORE: Final = (
    *("events", "streams", "requests", "webhooks", "notifications", "webhook_deliveries"),
    *("parked_events", "parked_streams", "parked_messages", "retry_requests", "dead_message_acts"),
)
"""Tables that pages read, beside those of read models."""
_STREAMS: Final = {"events": "stream", "streams": "name"}
_OF_A_MERCHANT: Final = ("saga_board", "order_status")
_NAMELESS: Final = {"webhooks": "id"}
"""A key that has no mark, for other companies gave it out."""
_SELDOM: Final = {"requests": 10, "notifications": 10, "webhooks": 4}
"""Kept for days, and not for years: so many copies have them once."""
_SELDOM_STREAMS: Final = {"credit": 10, "stock": 10, "payment": 10, "merchant": 10, "shipment": 5}
"""As many copies have the streams of these categories once: that makes ten events of each saga."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    is_generated: bool


@dataclass(frozen=True)
class Seeded:
    """A table of which there are rows to copy, for one mark."""

    table: str
    mark: str
    columns: Sequence[Column]
    rows: int

    @property
    def at(self) -> str:
        return f'seeds."{self.table}_{self.mark[0]}"'


@dataclass(frozen=True)
class Copies:
    """So many of all rows with a mark; the `events` of each go on behind a position."""

    number: int
    position: int
    events: int


Told = Callable[[int], None]


@asynccontextmanager
async def owner_of(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def stage(url: str, marked: Mapping[str, str]) -> None:
    """Put what has an id of the seeds aside, with marks instead of the ids."""
    names = [*_STORE, *(one.name for each in HANDRAIL.read_models for one in each.tables)]
    async with owner_of(url) as owner:
        await owner.execute("CREATE SCHEMA seeds")
        for table in names:
            cursor = await owner.execute(f'SELECT row_to_json(t)::text FROM "{table}" t'.encode())
            found = [row for (row,) in await cursor.fetchall()]
            for mark in (ENDED, WAITING):
                rows = [made for one in found if (made := _marked(table, one, mark, marked))]
                await owner.execute(
                    f'CREATE TABLE seeds."{table}_{mark[0]}" (LIKE "{table}")'.encode()
                )
                for one in rows:
                    await owner.execute(
                        f'INSERT INTO seeds."{table}_{mark[0]}"'
                        f' SELECT * FROM json_populate_record(NULL::"{table}", %s::json)'.encode(),
                        [one],
                    )
        for mark in (ENDED[0], WAITING[0]):
            if mark == WAITING[0]:
                await _run(owner, _STAND_STILL, mark=mark)
            await _run(owner, _RENUMBER, mark=mark)


def _marked(table: str, row: str, mark: str, marked: Mapping[str, str]) -> str:
    """The row with marks, or nothing where it has none, or its key would come twice."""
    for known, with_mark in marked.items():
        row = row.replace(known, with_mark)
    if mark not in row or '"audit-' in row:
        return ""
    if name := _NAMELESS.get(table):
        values = orjson.loads(row)
        if mark not in values[name]:
            values[name] = f"{values[name]}-{mark}"
        return orjson.dumps(values).decode()
    return row


# Of what waits for a person a row of a read model, a message for the broker, and one of a consumer.
_STAND_STILL: Final = """
INSERT INTO seeds.parked_events_{mark} (projection, stream, position, cause, parked_at)
SELECT n.name, e.stream, e.position, n.cause, e.recorded_at
FROM (SELECT DISTINCT ON (stream) * FROM seeds.events_{mark} WHERE stream LIKE 'order-%'
      ORDER BY stream, version DESC) e,
    (VALUES ('order_status', 'KeyError: ''total'''), ('relay/money', 'unroutable: no queue'))
        AS n (name, cause);
INSERT INTO seeds.parked_messages_{mark} (consumer, stream, version, position, type, schema,
    recorded_at, metadata, data, cause, attempts, parked_at)
SELECT 'finance', stream, version, position, type, schema, recorded_at, metadata, data,
    'KeyError: ''fee''', 3, recorded_at
FROM seeds.events_{mark} WHERE stream LIKE 'order-%';
INSERT INTO seeds.parked_streams_{mark}
SELECT consumer, stream, min(parked_at) FROM seeds.parked_messages_{mark} GROUP BY 1, 2
"""
# Positions of the seeds from 1, without gaps.
_RENUMBER: Final = """
CREATE TABLE seeds.numbers_{mark} AS
    SELECT position, row_number() OVER (ORDER BY position) AS n FROM seeds.events_{mark};
UPDATE seeds.parked_events_{mark} p SET position = n.n FROM seeds.numbers_{mark} n
    WHERE n.position = p.position;
UPDATE seeds.parked_messages_{mark} p SET position = n.n FROM seeds.numbers_{mark} n
    WHERE n.position = p.position;
UPDATE seeds.events_{mark} e SET position = n.n FROM seeds.numbers_{mark} n
    WHERE n.position = e.position;
DROP TABLE seeds.numbers_{mark}
"""


@dataclass(frozen=True)
class Plan:
    """`copies` of the seeds that ended, for so many sagas; `rows` are written for them. Operators
    acted on each of so many `days`.
    """

    copies: int
    rows: int
    days: int


async def plan_for(url: str, sagas: int, days: int) -> Plan:
    async with owner_of(url) as owner:
        seeded = await _seeded(owner)
        [each] = [one.rows for one in seeded if (one.table, one.mark) == ("saga_board", ENDED)]
        waiting = [one.rows for one in seeded if (one.table, one.mark) == ("saga_board", WAITING)]
        copies = -(-(sagas - sum(waiting) * WAITING_COPIES) // each)
        ended = sum(one.rows for one in seeded if one.mark == ENDED)
        rest = sum(one.rows for one in seeded if one.mark == WAITING)
        return Plan(copies, copies * ended + WAITING_COPIES * rest, days)


async def fill(url: str, plan: Plan, told: Told) -> None:
    """All copies, analysed; `told` hears how many rows were written since it last heard."""
    async with owner_of(url) as owner:
        # What is there is the past of a business: no trigger has to look at it once more.
        await owner.execute("SET session_replication_role = replica")
        await owner.execute("SET maintenance_work_mem = '512MB'")
        await _run(owner, _AUDIT, days=plan.days, acts=_ACTS)
        seeded = await _seeded(owner)
        kept = await _without_indexes(owner, "events")
        position = await _largest(owner)
        for mark, copies in ((ENDED, plan.copies), (WAITING, WAITING_COPIES)):
            of_mark = [one for one in seeded if one.mark == mark]
            events = sum(one.rows for one in of_mark if one.table == "events")
            for one in of_mark:
                await _copy(owner, one, Copies(copies, position, events), told)
            position += copies * events
        for statement in kept:
            await owner.execute(statement.encode())
        await _run(owner, _AFTERWARDS, outbox=_IN_OUTBOX, every=_EVERY, copies=plan.copies)


async def _run(owner: psycopg.AsyncConnection, statements: str, **values: object) -> None:
    for statement in statements.split(";\n"):
        await owner.execute(statement.format(**values).encode())


async def _seeded(owner: psycopg.AsyncConnection) -> Sequence[Seeded]:
    found = []
    names = [*_STORE, *(one.name for each in HANDRAIL.read_models for one in each.tables)]
    for table in names:
        cursor = await owner.execute(
            "SELECT attname, format_type(atttypid, NULL), attidentity <> '' OR attgenerated <> ''"
            " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [f'"{table}"'],
        )
        columns = [Column(*one) for one in await cursor.fetchall()]
        for mark in (ENDED, WAITING):
            one = Seeded(table, mark, columns, 0)
            [rows] = await (
                await owner.execute(f"SELECT count(*) FROM {one.at}".encode())
            ).fetchone() or [0]
            if rows:
                found.append(Seeded(table, mark, columns, rows))
    return found


async def _copy(owner: psycopg.AsyncConnection, one: Seeded, copies: Copies, told: Told) -> None:
    columns = [each for each in one.columns if not each.is_generated or each.name == "position"]
    named = ", ".join(f'"{each.name}"' for each in columns)
    made = ", ".join(_made(each, one, copies) for each in columns)
    at_once = max(1, _ROWS_AT_ONCE // one.rows)
    for first in range(1, copies.number + 1, at_once):
        last = min(first + at_once - 1, copies.number)
        await owner.execute(
            f'INSERT INTO "{one.table}" ({named}) OVERRIDING SYSTEM VALUE SELECT {made}'
            f" FROM generate_series({first}, {last}) AS c"
            f" CROSS JOIN LATERAL (SELECT lpad(to_hex(c), 8, '0') AS id,"
            f" interval '{_EVERY}' * ({copies.number} - c) AS ago) AS t"
            f" CROSS JOIN {one.at} AS s WHERE {_is_copied(one)}"
            " ON CONFLICT DO NOTHING".encode()
        )
        told((last - first + 1) * one.rows)


def _is_copied(one: Seeded) -> str:
    if one.mark == WAITING:
        return "true"
    if one.table in _STREAMS:
        category = f"split_part(s.{_STREAMS[one.table]}, '-', 1)"
        cases = " ".join(f"WHEN '{name}' THEN {every}" for name, every in _SELDOM_STREAMS.items())
        return f"c % CASE {category} {cases} ELSE 1 END = 0"
    return f"c % {_SELDOM.get(one.table, 1)} = 0"


def _made(column: Column, one: Seeded, copies: Copies) -> str:
    """The expression of a column: with the number of the copy, its moment and its position."""
    name = f's."{column.name}"'
    marked = f"replace({name}::text, '{one.mark}', t.id)"
    by_name = {
        "position": f"{copies.position} + (c - 1)::bigint * {copies.events} + {name}",
        "txid": f"'{_LONG_AGO}'::xid8",
        "shard": "(c % 16)::smallint",
    }
    if one.table in _OF_A_MERCHANT and one.mark == ENDED:
        by_name["merchant"] = f"CASE WHEN c % 5 = 0 THEN '{BIG}' ELSE {marked} END"
    by_type = {
        "timestamp with time zone": f"{name} - t.ago",
        "text": marked,
        "jsonb": f"{marked}::jsonb",
    }
    return by_name.get(column.name) or by_type.get(column.type) or name


async def _largest(owner: psycopg.AsyncConnection) -> int:
    [found] = await (
        await owner.execute("SELECT coalesce(max(position), 0) FROM events")
    ).fetchone() or [0]
    return int(found)


async def _without_indexes(owner: psycopg.AsyncConnection, table: str) -> list[str]:
    """Drops them, and answers how they are made again: which is faster than to keep them."""
    made: list[str] = []
    cursor = await owner.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
        [table],
    )
    for name, definition in await cursor.fetchall():
        await owner.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
        made.append(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    cursor = await owner.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass",
        [table],
    )
    for name, definition in await cursor.fetchall():
        await owner.execute(f"DROP INDEX {name}".encode())
        made.append(definition)
    return made


# Acts of operators on each day before the copies begin.
_AUDIT: Final = """
INSERT INTO events (stream, version, shard, type, schema, data, metadata, recorded_at)
SELECT 'audit-' || to_char(d.day, 'YYYY-MM-DD'), 2 * n + k.nth, 0, s.type, s.schema,
    s.data || jsonb_build_object('request', 'r-' || to_char(d.day, 'YYYYMMDD') || '-' || n),
    s.metadata || jsonb_build_object('correlation', 'r-' || to_char(d.day, 'YYYYMMDD') || '-' || n),
    d.day + interval '8 hours' + interval '1 minute' * n
FROM generate_series(1, {days}) AS ago
CROSS JOIN LATERAL (SELECT date_trunc('day', now(), 'UTC') - interval '1 day' * ago AS day) AS d
CROSS JOIN generate_series(0, {acts} - 1) AS n
CROSS JOIN (VALUES (1, 'OperatorActRequested'), (2, 'OperatorActAnswered')) AS k (nth, type)
CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.stream LIKE 'audit-%'
    AND e.stream >= 'audit-' || to_char(now(), 'YYYY-MM-DD') AND e.type = k.type
    ORDER BY e.version LIMIT 1) AS s
ORDER BY d.day, n, k.nth;
INSERT INTO streams SELECT stream, max(version) FROM events
WHERE stream > 'audit-' AND stream < 'audit.' GROUP BY stream ON CONFLICT DO NOTHING
"""
# Moments; what is newest is in the outbox, and all of it was read.
_AFTERWARDS: Final = """
INSERT INTO moments (at, until, snapshot, position, epoch)
SELECT m.at, m.at + interval '1 second', '3:3:', c, 1 FROM generate_series(1, {copies}) AS c
CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - interval '{every}' * ({copies} - c) AS at)
    AS m ON CONFLICT DO NOTHING;
SELECT setval('events_position_seq', (SELECT max(position) FROM events));
INSERT INTO outbox SELECT position, pg_current_xact_id(), shard FROM events
WHERE position > (SELECT max(position) FROM events) - {outbox} AND position NOT IN
    (SELECT position FROM outbox);
UPDATE checkpoints SET since = pg_current_snapshot(), until = NULL, epoch = 1,
    after_position = 0;
VACUUM (ANALYZE);
CHECKPOINT
"""


async def size_of(url: str) -> Mapping[str, Any]:
    """How many sagas and events there are, and bytes."""
    async with owner_of(url) as owner:
        cursor = await owner.execute(
            "SELECT (SELECT count(*) FROM saga_board), (SELECT count(*) FROM events),"
            " pg_database_size(current_database())"
        )
        [sagas, events, size] = await cursor.fetchone() or [0, 0, 0]
    return {"sagas": sagas, "events": events, "bytes": size}

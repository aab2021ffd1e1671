"""Millions of events copied in, as years of credit lines would have left them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
import psycopg

from benchmarks.appends import OPENED_ON, Append
from handrail.activities.command_handler import metadata_of
from handrail.eventstore.store import shard_of
from runtime.app import HANDRAIL

FORM: Final = 1
"""Of this past: a kept one of another form is not used."""
SHORTEST: Final = 5
LONGEST: Final = 20
SIDE_BY_SIDE: Final = 200
"""Streams that are appended to in the same weeks: the events of one lie apart."""
IN_OUTBOX: Final = 50_000
"""The newest, which somebody has not read yet."""
_ID: Final = "0123456789ab"
_LONG_AGO: Final = 3
"""The first number that a transaction can have."""
_BEGINNING: Final = datetime(2021, 1, 1, tzinfo=UTC)
_EVERY: Final = timedelta(seconds=15)
_KEYS: Final = {
    "events_pkey": 'PRIMARY KEY ("position")',
    "events_stream_version_key": "UNIQUE (stream, version)",
}
_COPY_EVENTS: Final = """
COPY events (position, txid, stream, version, shard, type, schema, data, metadata, recorded_at)
FROM STDIN
"""
# Every second event closes a step. Somebody has read nothing yet, for whom the outbox is kept.
_AFTERWARDS: Final = f"""
SELECT setval('events_position_seq', {{events}});
INSERT INTO streams SELECT stream, max(version) FROM events GROUP BY stream;
INSERT INTO commands (opened_on, saga, attempt, step, direction, answer, txid)
SELECT date '{{today}}', metadata ->> 'correlation', 1, 'Past' || version, 'do',
    jsonb_build_object('status', 'done', 'outcome', type), '{_LONG_AGO}'
FROM events WHERE version % 2 = 0;
INSERT INTO outbox SELECT position, txid, shard FROM events
WHERE position > {{events}} - {IN_OUTBOX};
INSERT INTO checkpoints (projection, shard, since) VALUES ('growth', 0, '1:1:');
VACUUM ANALYZE
"""


def line(number: int) -> str:
    """The id of one of the credit lines, which are not numbered in the order of their names."""
    return hashlib.blake2b(str(number).encode(), digest_size=6).hexdigest()


def lines_of(events: int) -> int:
    """How many credit lines a past of so many events has, but for a last one cut short."""
    return events * 2 // (SHORTEST + LONGEST)


def lengths(events: int) -> Iterator[int]:
    """Of one stream after the other, until there are so many events."""
    number, left = 0, events
    while left > 0:
        length = min(SHORTEST + number % (LONGEST - SHORTEST + 1), left)
        yield length
        number, left = number + 1, left - length


async def write_long_past(url: str, events: int, told: Callable[[int], None]) -> None:
    """Fill an empty store; `told` hears how many events were written since it last heard.

    The keys of `events` are made afterwards, which is faster.
    """
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for name in _KEYS:
            await connection.execute(f"ALTER TABLE events DROP CONSTRAINT {name}".encode())
        first = await _transactions(connection, IN_OUTBOX // 2)
        async with connection.cursor() as cursor, cursor.copy(_COPY_EVENTS) as copy:
            for rows, written in _rows(events, first):
                await copy.write(rows)
                told(written)
        for name, key in _KEYS.items():
            await connection.execute(f"ALTER TABLE events ADD CONSTRAINT {name} {key}".encode())
        for statement in _AFTERWARDS.format(events=events, today=OPENED_ON).split(";\n"):
            await connection.execute(statement.encode())


async def _transactions(connection: psycopg.AsyncConnection, count: int) -> int:
    """So many of them happen, one after the other; answers the number of the first."""
    await connection.execute("SET synchronous_commit = off")
    found = await connection.execute("SELECT pg_current_xact_id()::text::bigint")
    [first] = await found.fetchone() or [0]
    loop = f"FOR i IN 1 .. {count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP"
    await connection.execute(f"DO $$ BEGIN {loop}; END $$".encode())
    return int(first)


def _rows(events: int, first: int) -> Iterator[tuple[str, int]]:
    """Lines for COPY, with how many they are: the streams of a few weeks at a time.

    Two of the newest events each are of the transactions from number `first` on.
    """
    templates = _templates()
    position = 0
    streams: list[tuple[str, int, int]] = []

    def weeks() -> Iterator[str]:
        nonlocal position
        for version in range(1, LONGEST + 1):
            for identity, shard, length in streams:
                if version <= length:
                    position += 1
                    new = position - events + IN_OUTBOX
                    txid = first + new // 2 if new > 0 else _LONG_AGO
                    at = (_BEGINNING + position * _EVERY).isoformat()
                    kind, schema, data = templates[version % 2]
                    yield (
                        f"{position}\t{txid}\tcredit-{identity}\t{version}\t{shard}\t{kind}"
                        f"\t{schema}\t{data.replace(_ID, identity)}\t{at}\n"
                    )

    for number, length in enumerate(lengths(events)):
        identity = line(number)
        streams.append((identity, shard_of(f"credit-{identity}"), length))
        if len(streams) == SIDE_BY_SIDE:
            before = position
            yield "".join(weeks()), position - before
            streams.clear()
    before = position
    yield "".join(weeks()), position - before


def _templates() -> list[tuple[str, int, str]]:
    """Type, schema, and data with metadata of the two events, for the stream `_ID`."""
    sample = Append(_ID, 0)
    metadata = orjson.dumps(metadata_of(sample.context, HANDRAIL.tenant)).decode()
    encoded = [HANDRAIL.codec.encode(event) for event in sample.events]
    return [(one.type, one.schema, f"{one.data.decode()}\t{metadata}") for one in encoded]

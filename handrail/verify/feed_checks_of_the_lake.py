"""Whether the lake has every event that its checkpoint has passed, once and as it is stored.

The store is read in one transaction, and the lake behind it: what it has beyond that must be in the
store by now. Both are read in pages along the positions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from psycopg.rows import dict_row

from handrail.eventstore.pool import Connection
from handrail.lake.leader_lease import FOLLOWER
from handrail.lake.plan import EVENTS_ALONE
from handrail.verify.read_model_invariants import seen_by
from handrail.verify.violations import Violation

LAKE_CHECK: Final = "lake_equals_events"
_PAGE: Final = 5_000
_LAST: Final = 2**63 - 1
_EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""What was recorded before a clock was put back is looked at, too."""
_COLUMNS: Final = "stream, version, type, schema, recorded_at, data, metadata"
_STORED: Final = (
    f"SELECT position, event_number(position, txid)::text::bigint, {_COLUMNS} FROM events"
    " WHERE position > %s ORDER BY position LIMIT %s"
)
_EXPORTED: Final = (
    f'SELECT "position", {_COLUMNS} FROM events WHERE "position" > ? AND "position" <= ?'
    ' ORDER BY "position" LIMIT ?'
)


async def lake_equals_events(
    connection: Connection, live: Connection, folder: Path
) -> AsyncIterator[Violation]:
    """Needs the extra `lake`. `connection` is inside its transaction, `live` outside of it."""
    from handrail.lake.reading import open_lake  # noqa: PLC0415  # it needs the extra

    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT projection, shard, since::text, until::text, after_position FROM checkpoints"
            " WHERE projection = %s",
            (FOLLOWER,),
        )
        seen = seen_by(await cursor.fetchall())
    with open_lake(folder, EVENTS_ALONE, as_of=_EVER) as lake:
        after = 0
        while True:
            rows = await (await connection.execute(_STORED, (after, _PAGE))).fetchall()
            upto = rows[-1][0] if len(rows) == _PAGE else _LAST
            exported = await asyncio.to_thread(_page, lake, after, upto)
            stored = {position: one for position, _, *one in rows}
            passed = {one[0] for one in rows if seen(FOLLOWER, one[1], one[0], one[2])}
            for violation in _compared(stored, passed, exported):
                yield violation
            for violation in await _unknown(
                live, [one for one in exported if one[0] not in stored]
            ):
                yield violation
            if upto == _LAST:
                return
            after = upto


def _page(lake: Any, after: int, upto: int) -> list[tuple[Any, ...]]:
    """More than the store can have of them are not needed to see that something is wrong."""
    rows: list[tuple[Any, ...]] = lake.execute(_EXPORTED, [after, upto, 2 * _PAGE]).fetchall()
    return rows


def _compared(
    stored: dict[int, list[Any]], passed: set[int], exported: Sequence[tuple[Any, ...]]
) -> list[Violation]:
    times = Counter(one[0] for one in exported)
    found = [Violation(f"event {one}: not in the lake") for one in sorted(passed - times.keys())]
    found += [Violation(f"event {one}: {n} times in the lake") for one, n in times.items() if n > 1]
    for position, *columns, data, metadata in exported:
        there = stored.get(position)
        if there and there != [*columns, orjson.loads(data), orjson.loads(metadata)]:
            found.append(Violation(f"event {position} ({there[0]}/{there[1]}): other in the lake"))
    return found


async def _unknown(live: Connection, later: Sequence[tuple[Any, ...]]) -> list[Violation]:
    cursor = await live.execute(
        "SELECT position, stream, version FROM events WHERE position = ANY (%s)",
        ([one[0] for one in later],),
    )
    known = set(await cursor.fetchall())
    return [
        Violation(f"event {one[0]} ({one[1]}/{one[2]}): in the lake, and not in the store")
        for one in later
        if tuple(one[:3]) not in known
    ]

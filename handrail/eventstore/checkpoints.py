"""How far each projection has read each shard, and who may read on.

`revision` is the fencing token. Whoever moves a checkpoint must know it, and taking one over
changes it: a worker that was thought dead and wakes up knows an old one, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from handrail.eventstore.feed import SERVER, Cursor
from handrail.eventstore.identity import OtherStore
from handrail.eventstore.newer_code_decisions import IS_PARKED
from handrail.eventstore.pool import Connection
from handrail.eventstore.tables import NOTHING_SEEN


class LostLease(Exception):
    """A checkpoint was moved or taken by somebody else: what was done with it must not be kept."""


@dataclass(frozen=True)
class Checkpoint:
    projection: str
    shard: int
    cursor: Cursor
    revision: int

    @property
    def key(self) -> tuple[str, int]:
        return self.projection, self.shard


@dataclass(frozen=True)
class LeftToNewerCode:
    """`owner` cannot read the event at `position`. Where it is `parked`, an operator decided that
    events of its form are parked instead of waited with.
    """

    owner: str
    position: int
    parked: bool


@dataclass(frozen=True)
class Held:
    """A checkpoint as it stands in the table, and whether somebody alive has it, by the clock of
    the database. `lease` is how long the owner's leases are, where it said so. `left` are the
    processes that left it to newer code, also where it has moved on since.
    """

    checkpoint: Checkpoint
    owner: str | None
    free: bool
    leased_until: datetime | None = None
    lease: timedelta | None = None
    left: Sequence[LeftToNewerCode] = ()

    @property
    def waits_for_others_than(self) -> set[str]:
        """The processes that cannot read the event which comes next."""
        cursor = self.checkpoint.cursor
        return {
            one.owner
            for one in self.left
            if not one.parked and cursor.until is not None and one.position == cursor.after + 1
        }


_COLUMNS = "projection, shard, since::text, until::text, after_position, revision"
_LIST = (
    "unnest(%(projections)s::text[], %(shards)s::smallint[], %(revisions)s::bigint[])"
    " AS known (projection, shard, revision)"
)
_MATCH = "c.projection = known.projection AND c.shard = known.shard AND c.revision = known.revision"
_KNOWN = f" JOIN {_LIST} ON {_MATCH} WHERE true"
_THESE = f" FROM {_LIST} WHERE {_MATCH}"
_THERE = f" AND %(server)s IN ('', {SERVER})"
"""A snapshot is written down where it was read, and not on the next server behind a pooler."""


def _these(checkpoints: Sequence[Checkpoint]) -> dict[str, object]:
    return {
        "projections": [one.projection for one in checkpoints],
        "shards": [one.shard for one in checkpoints],
        "revisions": [one.revision for one in checkpoints],
    }


def _checkpoint(row: TupleRow) -> Checkpoint:
    projection, shard, since, until, after, revision = row[:6]
    return Checkpoint(projection, shard, Cursor(since, until, after), revision)


_LEFT: Final = (
    "SELECT w.subscriber AS left_by, w.shard AS left_shard, json_agg(json_build_array("
    f"w.owner, w.position, {IS_PARKED})) AS left_to_newer_code FROM newer_code_waits w"
    " WHERE w.subscriber = ANY (%(names)s) GROUP BY w.subscriber, w.shard"
)


async def held(connection: Connection, projections: Sequence[str]) -> Sequence[Held]:
    """Raises OtherStore where one was brought here from another epoch of the store."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS}, owner, owner IS NULL OR leased_until < clock_timestamp(),"
        " nullif(leased_until, 'infinity'), lease,"
        " nullif(epoch, (SELECT coalesce(max(epoch), 1) FROM store_epochs)), left_to_newer_code"
        f" FROM checkpoints LEFT JOIN ({_LEFT}) AS n ON left_by = projection AND left_shard = shard"
        " WHERE projection = ANY (%(names)s) ORDER BY shard, projection",
        {"names": list(projections)},
    )
    rows = await cursor.fetchall()
    for row in rows:
        if row[10] is not None:
            raise OtherStore(
                f"the checkpoint of {row[0]} for shard {row[1]} is of epoch {row[10]}, and the"
                " store is in another: somebody put it back alone; see `handrail restore check`"
            )
    return [
        Held(
            checkpoint=_checkpoint(row),
            owner=row[6],
            free=row[7],
            leased_until=row[8],
            lease=row[9],
            left=[LeftToNewerCode(*one) for one in row[11] or ()],
        )
        for row in rows
    ]


async def claim(
    connection: Connection, owner: str, free: Sequence[Checkpoint], lease: timedelta
) -> None:
    """Take these, except what somebody else was faster to take. A revision that is new shuts out
    whoever had it before.
    """
    await connection.execute(
        "UPDATE checkpoints AS c SET owner = %(owner)s, revision = c.revision + 1,"
        " leased_until = clock_timestamp() + %(lease)s, lease = %(lease)s FROM ("
        f" SELECT c.projection, c.shard FROM checkpoints AS c{_KNOWN}"
        " AND (c.owner IS NULL OR c.leased_until < clock_timestamp())"
        " FOR UPDATE OF c SKIP LOCKED) AS free"
        " WHERE c.projection = free.projection AND c.shard = free.shard",
        {"owner": owner, "lease": lease, **_these(free)},
    )


async def give_up_for_dead(connection: Connection, silent: Sequence[Held]) -> None:
    """Free these, whose owners gave no sign of life, except what has changed since it was read, or
    is being changed: that is a sign of life.
    """
    await connection.execute(
        "UPDATE checkpoints AS c SET owner = NULL, leased_until = NULL FROM ("
        " SELECT c.projection, c.shard FROM checkpoints c JOIN"
        "  unnest(%(projections)s::text[], %(shards)s::smallint[], %(revisions)s::bigint[],"
        "   %(owners)s::text[], %(ends)s::timestamptz[])"
        "  AS known (projection, shard, revision, owner, leased_until)"
        f" ON {_MATCH} AND c.owner = known.owner"
        " AND c.leased_until = coalesce(known.leased_until, 'infinity')"
        " FOR UPDATE OF c SKIP LOCKED) AS silent"
        " WHERE c.projection = silent.projection AND c.shard = silent.shard",
        {
            "owners": [one.owner for one in silent],
            "ends": [one.leased_until for one in silent],
            **_these([one.checkpoint for one in silent]),
        },
    )


async def renew(connection: Connection, owner: str, lease: timedelta) -> None:
    """Whatever is locked is being moved, which renews it too: nobody waits here."""
    await connection.execute(
        "UPDATE checkpoints AS c SET leased_until = clock_timestamp() + %(lease)s,"
        " lease = %(lease)s FROM ("
        " SELECT projection, shard FROM checkpoints WHERE owner = %(owner)s"
        " FOR UPDATE SKIP LOCKED) AS mine"
        " WHERE c.projection = mine.projection AND c.shard = mine.shard",
        {"owner": owner, "lease": lease},
    )


async def release(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    await connection.execute(
        f"UPDATE checkpoints AS c SET owner = NULL, leased_until = NULL{_THESE}",
        _these(checkpoints),
    )


async def release_all(connection: Connection, owner: str) -> None:
    await connection.execute(
        "UPDATE checkpoints SET owner = NULL, leased_until = NULL WHERE owner = %s", (owner,)
    )


async def move(
    connection: Connection,
    checkpoints: Sequence[Checkpoint],
    to: Cursor,
    lease: timedelta,
    beside: tuple[str, Mapping[str, object]] = ("", {}),
) -> AsyncCursor[TupleRow]:
    """Compare and set. Give the answer to `moved`: until then nothing may rely on it.

    Done first in a transaction, it also locks out whoever else would write for these checkpoints.
    `beside` is a WITH clause, and its parameters, that has its effect in the same statement; for it
    the checkpoints are where they were. It knows them as `projections`, `shards`, `revisions`.
    """
    clause, values = beside
    return await connection.execute(
        f"{clause} UPDATE checkpoints AS c SET since = %(since)s::pg_snapshot,"
        " until = %(until)s::pg_snapshot,"
        " after_position = %(after)s, revision = c.revision + 1, moved_at = clock_timestamp(),"
        f" leased_until = clock_timestamp() + %(lease)s{_THESE}{_THERE}",
        {
            "since": to.since,
            "until": to.until,
            "after": to.after,
            "server": to.server,
            "lease": lease,
            **values,
            **_these(checkpoints),
        },
    )


async def move_if_appended(
    connection: Connection, checkpoints: Sequence[Checkpoint], to: Cursor, lease: timedelta
) -> Sequence[Checkpoint]:
    """Move these, none of which has an event before `to`, and answer where all of them are now.

    It is written down only where something was appended since, in whatever shard: otherwise two
    idle workers would see each other's writes as news for ever. Not written down, it is true as
    long as the server is there that the snapshot was read from.
    """
    cursor = await connection.execute(
        "UPDATE checkpoints AS c SET since = %(to)s::pg_snapshot, until = NULL,"
        " after_position = 0, revision = c.revision + 1, moved_at = clock_timestamp(),"
        f" leased_until = clock_timestamp() + %(lease)s{_THESE}{_THERE}"
        " AND (c.since::text = %(nothing)s OR EXISTS ("
        " SELECT FROM outbox o WHERE o.txid >= pg_snapshot_xmax(c.since)"
        " AND o.txid < pg_snapshot_xmax(%(to)s::pg_snapshot)"
        " AND pg_visible_in_snapshot(o.txid, %(to)s::pg_snapshot)"
        " UNION ALL"
        " SELECT FROM outbox o WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since)))"
        " AND pg_visible_in_snapshot(o.txid, %(to)s::pg_snapshot)))"
        " RETURNING c.projection, c.shard",
        {
            "to": to.since,
            "server": to.server,
            "nothing": NOTHING_SEEN,
            "lease": lease,
            **_these(checkpoints),
        },
    )
    written = set(await cursor.fetchall())
    return [
        Checkpoint(one.projection, one.shard, to, one.revision + (one.key in written))
        for one in checkpoints
    ]


def moved(
    answer: AsyncCursor[TupleRow], checkpoints: Sequence[Checkpoint], to: Cursor
) -> Sequence[Checkpoint]:
    """Where the checkpoints are now.

    Raises LostLease where not all of them were moved: roll back.
    """
    if answer.rowcount != len(checkpoints):
        raise LostLease(f"{answer.rowcount} of {len(checkpoints)} checkpoints were still mine")
    return [Checkpoint(one.projection, one.shard, to, one.revision + 1) for one in checkpoints]

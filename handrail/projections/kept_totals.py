"""Kept totals: what a read model added up to at its checkpoints, every thousand events.

Sums as of a moment go on from the nearest of them (`past_totals.py`). Totals and checkpoints move
in one transaction, so one statement reads both as they belong together. A shard of which nothing is
unread stands at the snapshot of that statement, since an idle checkpoint does not move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Self

from psycopg import sql
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.projections.projection import Projection
from handrail.projections.totals import Key

EVERY: Final = 1_000
"""Events from one to the next."""


@dataclass(frozen=True)
class Base:
    """Totals, and the events they are of: by shard, what `since` sees, and of what `until` sees the
    events up to `after`. Newer positions than `position` are not among them.
    """

    epoch: int
    position: int
    since: tuple[str, ...]
    until: tuple[str | None, ...]
    after: tuple[int, ...]
    totals: Mapping[Key, int]

    @classmethod
    def of(cls, epoch: int, position: int, checkpoints: Mapping[str, Any], totals: Any) -> Self:
        by_shard = [checkpoints[str(shard)] for shard in range(SHARDS)]
        since, until, after = zip(*by_shard, strict=True)
        return cls(
            epoch,
            position,
            since,
            until,
            after,
            {(figure, tuple(labels)): int(total) for figure, labels, total in totals or ()},
        )


async def keep(connection: Connection, projection: Projection[Any]) -> None:
    """Where a thousand events came since the last ones, and the read model is of this version."""
    await connection.execute(
        _keeping(projection.totals.name),
        {
            "name": projection.name,
            "version": projection.version,
            "nothing": NOTHING_SEEN,
            "every": EVERY,
            "shards": SHARDS,
        },
    )


async def bases(
    connection: AsyncConnection, projection: Projection[Any], epoch: int, position: int
) -> list[Base]:
    """Those nearest to a position: the last before it, the first after it, and that of now."""
    asked = {
        "name": projection.name,
        "version": projection.version,
        "epoch": epoch,
        "position": position,
        "nothing": NOTHING_SEEN,
        "shards": SHARDS,
    }
    found = await connection.execute(_bases(projection.totals.name), asked)
    near = [Base.of(*one) for one in found]
    return sorted(near, key=lambda one: abs(one.position - position))


_STANDS: Final = """
    SELECT m.epoch, m.position, (
        SELECT jsonb_object_agg(c.shard, CASE WHEN c.until IS NULL AND NOT EXISTS (
                SELECT FROM outbox o
                WHERE o.txid >= pg_snapshot_xmax(c.since) AND o.shard = c.shard
            ) AND NOT EXISTS (
                SELECT FROM outbox o
                WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since))) AND o.shard = c.shard)
            THEN jsonb_build_array(pg_current_snapshot()::text, NULL, 0)
            ELSE jsonb_build_array(c.since::text, c.until::text, c.after_position) END)
        FROM checkpoints c WHERE c.projection = {name}) AS checkpoints, (
        SELECT jsonb_agg(jsonb_build_array(t.figure, t.labels, t.total)) FROM (
            SELECT figure, labels, sum(total) AS total FROM {table} GROUP BY figure, labels) t
        ) AS totals
    FROM (SELECT coalesce((SELECT max(epoch) FROM store_epochs), 1) AS epoch,
            coalesce((SELECT max(position) FROM events), 0) AS position) m
    WHERE EXISTS (SELECT FROM read_models WHERE name = {name} AND version = {version})
        AND (SELECT count(*) = {shards} AND bool_and(since::text <> {nothing})
             FROM checkpoints WHERE projection = {name})
"""


@cache
def _keeping(table: str) -> sql.Composed:
    stands = _stands(table, {one: f"%({one})s" for one in ("name", "version", "shards", "nothing")})
    return sql.SQL(
        "INSERT INTO kept_totals (read_model, version, epoch, position, checkpoints, totals)"
        " SELECT %(name)s, %(version)s, s.epoch, s.position, s.checkpoints,"
        " coalesce(s.totals, '[]') FROM ({stands} AND NOT EXISTS ("
        "SELECT FROM kept_totals k WHERE k.read_model = %(name)s AND k.version = %(version)s"
        " AND k.epoch = m.epoch AND k.position > m.position - %(every)s)) s ON CONFLICT DO NOTHING"
    ).format(stands=sql.SQL(stands))


@cache
def _bases(table: str) -> TextClause:
    names = {one: f":{one}" for one in ("name", "version", "shards", "nothing")}
    stands = _stands(table, names)
    where = "read_model = :name AND version = :version AND epoch = :epoch"
    kept = "SELECT epoch, position, checkpoints, totals FROM kept_totals WHERE " + where
    return text(
        f"(SELECT * FROM ({stands}) s WHERE s.epoch = :epoch)"
        f" UNION ALL ({kept} AND position <= :position ORDER BY position DESC LIMIT 1)"
        f" UNION ALL ({kept} AND position > :position ORDER BY position LIMIT 1)"
    )


def _stands(table: str, names: Mapping[str, str]) -> Any:
    """`names` are the parameters, as the driver writes them."""
    return _STANDS.format(table=sql.Identifier(table).as_string(), **names)

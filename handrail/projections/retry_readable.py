"""Apply by itself what was parked because the projector's code could not read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.tokens import UnknownProjection
from handrail.eventstore.unread_forms import is_readable_now, may_be_unread
from handrail.projections.projection import Projection
from handrail.projections.retry_parked import retry

_log = structlog.get_logger(__name__)

_PAGE: Final = 100
# A row waits because of its first event, whichever of its streams that is in.
_FIRST: Final = (
    "SELECT projection, id, stream, cause FROM ("
    " SELECT DISTINCT ON (projection, id) projection, id, stream, cause FROM ("
    "  SELECT p.*, substr(stream, strpos(stream, '-') + 1) AS id FROM parked_events p"
    "  WHERE projection = ANY (%s)) AS p ORDER BY projection, id, position) AS f"
)


async def retry_readable(pool: Pool, projections: Sequence[Projection[Any]], codec: Codec) -> int:
    """Each row in the order of its events; answers how many events were applied.

    Read models of another version are left to processes of that version.
    """
    applied = 0
    after = ("", "")
    names = [one.name for one in projections]
    while page := await _unread(pool, names, after):
        for name, _, stream, cause in page:
            if not is_readable_now(cause, codec):
                continue
            try:
                done = await retry(pool, name, stream, projections, codec)
            except UnknownProjection:
                continue
            applied += done.applied
            _log.info(
                "row goes on with newer code",
                projection=name,
                stream=stream,
                applied=done.applied,
                stopped_by=done.stopped_by.cause if done.stopped_by else None,
            )
        after = page[-1][:2]
    return applied


async def all_parked(connection: Connection, names: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Of every row that stands still, the read model and the stream of its first parked event."""
    cursor = await connection.execute(f"{_FIRST} ORDER BY projection, id", (list(names),))
    return [(name, stream) for name, _, stream, _ in await cursor.fetchall()]


async def _unread(
    pool: Pool, names: Sequence[str], after: tuple[str, str]
) -> Sequence[tuple[str, str, str, str]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            f"{_FIRST} WHERE {may_be_unread('cause')} AND (projection, id) > (%s, %s)"
            " ORDER BY projection, id LIMIT %s",
            (list(names), *after, _PAGE),
        )
        return await cursor.fetchall()

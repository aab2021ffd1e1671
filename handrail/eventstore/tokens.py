"""Read your writes: wait until a projection has seen what a transaction appended.

A token is the number of the transaction, as `EventStore.append` returns it: `4711`, and
`2-4711` in the second epoch of the store. Another epoch gives the same numbers out again.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.store import SHARDS, shard_of
from handrail.eventstore.tables import NOTHING_SEEN

_FIRST_PAUSE: Final = 0.004
_LONGEST_PAUSE: Final = 0.05
_TOKEN: Final = re.compile(r"(?:([1-9][0-9]{0,8})-)?([1-9][0-9]{0,18})")


class Connects(Protocol):
    """An engine, or what lends its connections."""

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]: ...


class BadToken(ValueError):
    """No append has ever returned this token."""


class TokenOfAnotherEpoch(BadToken):
    """The store was restored, or a standby promoted, since the token was given: nobody can tell
    what it stands for.
    """


class UnknownProjection(LookupError):
    """There is no projection of this name."""


class NotYetSeen(Exception):
    """The projection is behind: read without the token, or try again."""


class RowParked(NotYetSeen):
    """The projection has read the token's events and could not apply them: it parked one.

    Waiting changes nothing. Read without the token, and the row is as it was before `stream` came
    to `position`; once what `cause` names is mended, `handrail projections retry` applies them.
    """

    def __init__(self, projection: str, stream: str, position: int, cause: str) -> None:
        super().__init__(f"{projection} parked {stream} at position {position}: {cause}")
        self.projection = projection
        self.stream = stream
        self.position = position


def parts_of(token: str) -> tuple[int, int]:
    """The epoch and the number of a transaction; 0 and 0 for what is no token."""
    parts = _TOKEN.fullmatch(token)
    return (int(parts[1] or 1), int(parts[2])) if parts else (0, 0)


async def wait_until_seen(
    engine: Connects,
    projection: str,
    token: str,
    *,
    id_: str | None = None,
    timeout: float = 2.0,  # noqa: ASYNC109  # it is polled: a cancelled statement costs a connection
) -> None:
    """Return once the rows of `id_`, or all rows, hold what the token's transaction appended.

    No connection is kept between two looks. Raises BadToken (TokenOfAnotherEpoch for one that was
    given before the store was restored) and UnknownProjection at once, and NotYetSeen after
    `timeout` seconds. Where an event of the token is parked, raises RowParked at once. Of all rows,
    that is found as long as the outbox holds the token's events.
    """
    epoch, number = parts_of(token)
    if not number:
        raise BadToken(f"{token!r} is not the number of a transaction")
    asked: dict[str, object] = {
        "projection": projection,
        "token": str(number),
        "epoch": epoch,
        "shards": list(range(SHARDS)) if id_ is None else [shard_of(f"-{id_}")],
        "nothing": NOTHING_SEEN,
        "id": id_,
    }
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + timeout, _FIRST_PAUSE
    while not await _seen(engine, asked):
        if clock() + pause > deadline:
            raise NotYetSeen(f"{projection} has not seen {token} within {timeout} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _seen(engine: Connects, asked: dict[str, object]) -> bool:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        found = (await connection.execute(SEEN_OR_PARKED, asked)).one()
    known, epoch, of_the_future, seen, *parked = found
    if epoch != asked["epoch"]:
        raise TokenOfAnotherEpoch(
            f"the token was given in epoch {asked['epoch']} of the store, and this is epoch {epoch}"
        )
    if of_the_future:
        raise BadToken(f"{asked['token']} is later than anything that was appended")
    if not known:
        raise UnknownProjection(str(asked["projection"]))
    if parked[0] is not None:
        raise RowParked(str(asked["projection"]), *parked)
    return bool(seen)


# A command that had nothing to do appends nothing, and an idle checkpoint does not move for it: so
# the question is whether any event up to the token is unseen. What the outbox no longer holds was
# seen by all, but for a rebuild that has only begun.
_SEEN: Final = """
SELECT count(*) > 0 AS known,
       (SELECT coalesce(max(epoch), 1) FROM store_epochs) AS epoch,
       CAST(:token AS xid8) >= pg_snapshot_xmax(pg_current_snapshot()) AS of_the_future,
       bool_and(
           pg_visible_in_snapshot(CAST(:token AS xid8), c.since)
           OR c.since::text <> :nothing
           AND NOT EXISTS (
               SELECT FROM outbox o
               WHERE o.txid >= pg_snapshot_xmax(c.since) AND o.txid <= CAST(:token AS xid8)
                 AND o.shard = c.shard)
           AND NOT EXISTS (
               SELECT FROM outbox o
               WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since)))
                 AND o.txid <= CAST(:token AS xid8) AND o.shard = c.shard)
       ) AS seen
FROM checkpoints c
WHERE c.projection = :projection AND c.shard = ANY (CAST(:shards AS smallint[]))
"""

# In the same snapshot, since a checkpoint moves in the transaction that parks. The outbox leads to
# the token's events by its index; what it no longer holds is looked for among the events of the id.
_PARKED: Final = """
SELECT p.stream, p.position, p.cause FROM (
    SELECT p.stream, p.position, p.cause
    FROM outbox o JOIN events e USING (position)
    JOIN parked_events p ON p.projection = :projection AND p.stream = e.stream
        AND p.position = e.position
    WHERE o.txid = CAST(:token AS xid8)
    UNION ALL
    SELECT p.stream, p.position, p.cause
    FROM parked_events p JOIN events e USING (position)
    WHERE p.projection = :projection AND e.txid = CAST(:token AS xid8)
        AND substr(p.stream, strpos(p.stream, '-') + 1) = CAST(:id AS text)
) p
WHERE CAST(:id AS text) IS NULL OR substr(p.stream, strpos(p.stream, '-') + 1) = CAST(:id AS text)
ORDER BY p.position LIMIT 1
"""
SEEN_OR_PARKED: Final[TextClause] = text(
    f"SELECT s.*, p.* FROM ({_SEEN}) s LEFT JOIN LATERAL ({_PARKED}) p"
    " ON s.seen AND EXISTS (SELECT FROM parked_events WHERE projection = :projection)"
)

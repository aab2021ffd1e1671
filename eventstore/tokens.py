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

from eventstore.store import SHARDS, shard_of
from eventstore.tables import NOTHING_SEEN

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
    `timeout` seconds.
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
        known, epoch, of_the_future, seen = (await connection.execute(_SEEN, asked)).one()
    if epoch != asked["epoch"]:
        raise TokenOfAnotherEpoch(
            f"the token was given in epoch {asked['epoch']} of the store, and this is epoch {epoch}"
        )
    if of_the_future:
        raise BadToken(f"{asked['token']} is later than anything that was appended")
    if not known:
        raise UnknownProjection(str(asked["projection"]))
    return bool(seen)


# A command that had nothing to do appends nothing, and an idle checkpoint does not move for it: so
# the question is whether any event up to the token is unseen. What the outbox no longer holds was
# seen by all, but for a rebuild that has only begun.
_SEEN: Final[TextClause] = text("""
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
""")

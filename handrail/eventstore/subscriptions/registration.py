"""Who follows the feed has a checkpoint for every shard, until it is forgotten."""

from __future__ import annotations

from handrail.eventstore import newer_code_waits
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN


async def enroll(connection: Connection, name: str) -> None:
    """Begin with the first event there is, or go on where the follower of this name was.

    From now on the outbox keeps what it has not seen.
    """
    await connection.execute(
        "INSERT INTO checkpoints (projection, shard, since, epoch)"
        " SELECT %s, s, %s::pg_snapshot, (SELECT coalesce(max(epoch), 1) FROM store_epochs)"
        " FROM generate_series(0, %s) AS s ON CONFLICT DO NOTHING",
        (name, NOTHING_SEEN, SHARDS - 1),
    )


async def forget(connection: Connection, name: str) -> bool:
    """Nobody follows the feed under this name any more, and the outbox keeps nothing for it; False
    where a process follows it, which may have begun a moment ago.

    To be called in a transaction. Enrolled again, it would begin with the first event.
    """
    await connection.execute(
        "SELECT FROM checkpoints WHERE projection = %s ORDER BY shard FOR UPDATE", (name,)
    )
    if await is_followed(connection, name):
        return False
    await connection.execute("DELETE FROM checkpoints WHERE projection = %s", (name,))
    await newer_code_waits.forget(connection, name)
    return True


async def is_followed(connection: Connection, name: str) -> bool:
    """Whether a process that is alive follows the feed under this name.

    A lease that ends much later than a lease can was given before the clock was put back, and not
    renewed since: its owner is dead.
    """
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM checkpoints WHERE projection = %s AND owner IS NOT NULL"
        " AND leased_until > clock_timestamp()"
        " AND leased_until <= clock_timestamp() + 2 * coalesce(lease, interval '1 hour'))",
        (name,),
    )
    [found] = await cursor.fetchone() or [False]
    return bool(found)

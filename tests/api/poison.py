"""An event without its data at the end of a stream: every read model of the stream parks it."""

from __future__ import annotations

from typing import Final

import psycopg

from tests.api.conftest import House
from tests.api.shop import eventually

_POISON: Final = """
WITH last AS (
    SELECT * FROM events WHERE stream = %(stream)s AND type = %(type)s
    ORDER BY version DESC LIMIT 1
), head AS (
    UPDATE streams SET version = version + 1 WHERE name = %(stream)s RETURNING version
), poison AS (
    INSERT INTO events (stream, version, shard, type, schema, data, metadata)
    SELECT last.stream, head.version, shard, type, schema, '{}', metadata FROM last, head
    RETURNING position, txid, shard
), fed AS (
    INSERT INTO outbox (position, txid, shard) SELECT position, txid, shard FROM poison
)
SELECT txid::text FROM poison
"""


async def poison(house: House, stream: str, type_: str, *projections: str) -> str:
    """Answers the token, once these projections have parked it."""
    async with await psycopg.AsyncConnection.connect(house.database, autocommit=True) as owner:
        cursor = await owner.execute(_POISON, {"stream": stream, "type": type_})
        [(token,)] = await cursor.fetchall()

    async def parked() -> bool:
        found = await house.sql("SELECT count(*) FROM parked_events WHERE stream = %s", stream)
        return bool(found[0][0] >= len(projections))

    await eventually(parked, f"{stream} is parked")
    return str(token)


async def heal(house: House) -> None:
    """As if nothing had been parked: what other tests read is not theirs."""
    await house.sql("DELETE FROM parked_events")


async def mend(house: House, stream: str) -> None:
    """As code that can read the event would: it has data, that of the one before it of its type."""
    async with await psycopg.AsyncConnection.connect(house.database, autocommit=True) as owner:
        await owner.execute("SET session_replication_role = replica")  # events cannot be changed
        await owner.execute(
            "UPDATE events e SET data = (SELECT o.data FROM events o WHERE o.stream = e.stream"
            " AND o.type = e.type AND o.version < e.version ORDER BY o.version DESC LIMIT 1)"
            " WHERE stream = %s AND data = '{}'",
            (stream,),
        )

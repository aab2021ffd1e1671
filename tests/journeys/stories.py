"""What happened to those of whom something is wrong: their streams, and their keys at the fence."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import psycopg

_ID = re.compile(r"(?:return-ret|ord)-[a-z0-9]{20,}")
MOST = 6


async def of(database_url: str, wrong: Sequence[str]) -> Sequence[str]:
    """Line by line, of the first few ids that are named."""
    ids = list(dict.fromkeys(id_ for text in wrong for id_ in _ID.findall(text)))[:MOST]
    lines: list[str] = []
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for id_ in ids:
            lines.append(f"--- {id_}")
            rows = await connection.execute(
                "SELECT position, recorded_at, stream, type, data, metadata FROM events"
                " WHERE right(stream, length(%s)) = %s OR metadata->>'saga' = %s ORDER BY position",
                (id_, id_, id_),
            )
            async for position, at, stream, type_, data, metadata in rows:
                said = {name: one for name, one in data.items() if name not in {"saga", "steps"}}
                key = metadata.get("causation", "")
                lines.append(
                    f"{position} {at:%H:%M:%S.%f} {stream} {type_} {json.dumps(said)[:300]} {key}"
                )
            keys = await connection.execute(
                "SELECT recorded_at, attempt, step, direction, answer, closed FROM commands"
                " WHERE saga = %s ORDER BY recorded_at",
                (id_,),
            )
            async for at, *row in keys:
                lines.append(f"fence {at:%H:%M:%S.%f} {row}")
    return lines

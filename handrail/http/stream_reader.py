"""Reads a stream's events as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.tables import events, streams


class StoredEvent(BaseModel):
    """`metadata` says who caused it, and what: actor, correlation, causation."""

    version: int = Field(description="Its place in the stream, from 1.")
    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    recorded_at: datetime


async def newest_version(connection: AsyncConnection, stream: str) -> int | None:
    """None where there is no such stream."""
    query = select(streams.c.version).where(streams.c.name == stream)
    found: int | None = (await connection.execute(query)).scalar_one_or_none()
    return found


async def read(
    connection: AsyncConnection,
    stream: str,
    *,
    after: int,
    limit: int,
    type_: str | None = None,
    data: Mapping[str, str] | None = None,
    upto: int | None = None,
) -> Sequence[StoredEvent]:
    """Where `type_` is given, only those of it; where `data` is, only those that hold it. `upto`
    bounds how far a stream is searched for such, by the version.
    """
    conditions = [events.c.stream == stream, events.c.version > after]
    if upto is not None:
        conditions.append(events.c.version <= upto)
    if type_ is not None:
        conditions.append(events.c.type == type_)
    conditions += [events.c.data[name].astext == value for name, value in (data or {}).items()]
    found = await connection.execute(
        select(
            events.c.version,
            events.c.type,
            events.c.schema.label("schema_version"),
            events.c.data,
            events.c.metadata,
            events.c.recorded_at,
        )
        .where(*conditions)
        .order_by(events.c.version)
        .limit(limit)
    )
    return [StoredEvent(**one) for one in found.mappings()]

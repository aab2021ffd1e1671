"""Snapshots of rows in the middle of a long history: an as-of read folds on from the nearest one.

A snapshot is a cache and never the only copy: it may be deleted at any time. It is of one revision
of its projection's fold, which follows from the code and stands behind the name, and says for each
stream which version it was folded to. A writer that commits late, at a lower position than the
snapshot's, is therefore still read: its events are behind that version of their stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.codec import Codec
from handrail.projections.moments import Cut
from handrail.projections.projection import Projection
from handrail.projections.projection_folds import revision_of_rows
from handrail.projections.read_model import ReadModel, packed

RowT = TypeVar("RowT")

_LATEST: Final[TextClause] = text("""
SELECT versions, state FROM row_snapshots
WHERE projection = :projection AND id = :id AND version = :version AND position <= :position
ORDER BY position DESC LIMIT 8
""")
_KEEP: Final[TextClause] = text("""
INSERT INTO row_snapshots (projection, id, version, position, versions, state)
VALUES (:projection, :id, :version, :position, CAST(:versions AS jsonb), CAST(:state AS jsonb))
ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True)
class RowSnapshot(Generic[RowT]):
    """A row, and the version of each stream that it was folded to."""

    row: RowT | None = None
    versions: Mapping[str, int] = field(default_factory=dict)


async def newest(
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    cut: Cut,
    *,
    codec: Codec,
) -> RowSnapshot[RowT]:
    """The newest snapshot within the cut; an empty one where there is none."""
    found = await latest(connection, projection, id_, cut, codec=codec)
    return next(iter(found), RowSnapshot())


async def latest(
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    cut: Cut,
    *,
    codec: Codec,
) -> Sequence[RowSnapshot[RowT]]:
    """The last few snapshots within the cut, the newest first."""
    wanted = {**_key(projection, id_, codec), "position": cut.position}
    found = await connection.execute(_LATEST, wanted)
    model = ReadModel(projection)
    return [
        RowSnapshot(state and model.row(state), versions)
        for versions, state in found
        if cut.covers(versions)
    ]


async def keep(
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    position: int,
    snapshot: RowSnapshot[RowT],
    *,
    codec: Codec,
) -> None:
    """Raises Unstorable."""
    await connection.execute(
        _KEEP,
        {
            **_key(projection, id_, codec),
            "position": position,
            "versions": packed(snapshot.versions),
            "state": packed(snapshot.row),
        },
    )


def _key(projection: Projection[Any], id_: str, codec: Codec) -> dict[str, Any]:
    revision = revision_of_rows(projection, codec)
    name = f"{projection.name}@{revision}"
    return {"projection": name, "id": id_, "version": projection.version}

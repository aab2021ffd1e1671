"""Last-Event-ID of an event stream: `17`, and `2-17` in the second epoch of the store.

A store that was restored, or a promoted standby, gives versions of a stream out again. So an id
names the epoch in which its event was sent, as a token does: one that is a plain number is of the
first epoch. What a reader of an earlier epoch has of a stream is what came through all restores
since, at most up to the version it names: it goes on behind that, and misses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

_ID: Final = re.compile(r"(?:([1-9][0-9]{0,8})-)?([0-9]{1,18})")


@dataclass(frozen=True)
class StreamPlace:
    """Behind an event of a stream. An `epoch` of None is the one that the store is in."""

    version: int
    epoch: int | None = None

    @classmethod
    def of(cls, said: str) -> StreamPlace | None:
        """None for what is no id of an event."""
        parts = _ID.fullmatch(said)
        return cls(int(parts[2]), int(parts[1] or 1)) if parts else None

    def __str__(self) -> str:
        return str(self.version) if self.epoch in {None, 1} else f"{self.epoch}-{self.version}"


@dataclass(frozen=True)
class Standing:
    """The newest version of a stream, 0 where there is none, the epoch of the store, and the place
    at which a reader goes on in it.
    """

    newest: int
    epoch: int
    place: StreamPlace


_STANDING: Final[TextClause] = text("""
SELECT coalesce((SELECT s.version FROM streams s WHERE s.name = :stream), 0),
       (SELECT coalesce(max(e.epoch), 1) FROM store_epochs e),
       CASE WHEN r.position IS NULL THEN :version
           ELSE (SELECT coalesce(max(e.version), 0) FROM events e WHERE e.stream = :stream
               AND e.version <= :version AND e.position <= r.position) END
FROM (SELECT min(restored_position) AS position FROM store_epochs WHERE epoch > :epoch) AS r
""")
_NEWEST: Final = 2**31 - 1
"""As an epoch: none is later."""


async def standing(connection: AsyncConnection, stream: str, place: StreamPlace) -> Standing:
    """Where a reader goes on that was at `place`, maybe of a server that is not the store now."""
    epoch = _NEWEST if place.epoch is None else place.epoch
    asked = {"stream": stream, "version": place.version, "epoch": epoch}
    newest, now, version = (await connection.execute(_STANDING, asked)).one()
    return Standing(newest, now, StreamPlace(version, now))

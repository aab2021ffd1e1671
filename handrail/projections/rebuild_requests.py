"""Rows of `rebuild_requests`: an operator's request over HTTP to build a read model anew.

The API may make no tables. `handrail projections rebuild --requested` works the requests off with
the owner's login, and stores what came of it. There is one row for each read model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.kernel import Attribution

LONGEST: Final = 1_000
_COLUMNS: Final = "name, actor, reason, requested_at, begun_at, settled_at, failed"


@dataclass(frozen=True)
class RebuildRequest:
    """`begun_at` is when a process took it, `settled_at` when it ended; `failed` is why it did not
    end well, or empty.
    """

    name: str
    actor: str
    reason: str
    requested_at: datetime
    begun_at: datetime | None
    settled_at: datetime | None
    failed: str

    @property
    def state(self) -> str:
        """`waiting`, `building`, `done` or `failed`."""
        if self.settled_at is None:
            return "building" if self.begun_at else "waiting"
        return "failed" if self.failed else "done"


_REQUEST: Final[TextClause] = text(f"""
INSERT INTO rebuild_requests AS r (name, actor, reason) VALUES (:name, :actor, :reason)
ON CONFLICT (name) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,
    requested_at = clock_timestamp(), begun_at = NULL, settled_at = NULL, failed = ''
    WHERE r.settled_at IS NOT NULL
RETURNING {_COLUMNS}
""")
_OF: Final[TextClause] = text(f"SELECT {_COLUMNS} FROM rebuild_requests WHERE name = :name")
_OPEN: Final[TextClause] = text(
    f"SELECT {_COLUMNS} FROM rebuild_requests WHERE settled_at IS NULL ORDER BY requested_at"
)


async def request(connection: AsyncConnection, name: str, by: Attribution) -> bool:
    """False where it was requested before and has not ended."""
    values = {"name": name, "actor": by.actor, "reason": by.reason}
    return (await connection.execute(_REQUEST, values)).one_or_none() is not None


async def of(connection: AsyncConnection, name: str) -> RebuildRequest | None:
    """The last one of a read model."""
    row = (await connection.execute(_OF, {"name": name})).one_or_none()
    return None if row is None else RebuildRequest(*row)


def unsettled(connection: Connection) -> Sequence[RebuildRequest]:
    """The oldest first."""
    return [RebuildRequest(*row) for row in connection.execute(_OPEN)]


def begun(connection: Connection, name: str) -> None:
    """Note that a process has taken it."""
    connection.execute(
        text("UPDATE rebuild_requests SET begun_at = clock_timestamp() WHERE name = :name"),
        {"name": name},
    )


def settle(connection: Connection, name: str, failed: str = "") -> None:
    """Note how it ended."""
    connection.execute(
        text(
            "UPDATE rebuild_requests SET settled_at = clock_timestamp(), failed = :failed"
            " WHERE name = :name"
        ),
        {"name": name, "failed": failed[:LONGEST]},
    )

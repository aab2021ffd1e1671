"""Where the store was cut off: what is before it came through, what is behind it may be lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from handrail.eventstore.identity import LOOK, Refused, Standing
from handrail.eventstore.pool import Connection


@dataclass(frozen=True)
class Epoch:
    epoch: int
    restored_position: int
    first_position: int
    renumbered: bool
    began_at: datetime
    cause: str
    decided_by: str


@dataclass(frozen=True)
class Boundary:
    """`epoch` is the one that ended there, and `position` the last that came through, with the time
    at which that event was recorded. `until` is when the next epoch began: None where none has.
    `known` are all epochs of the store: others have been lost with a server.
    """

    epoch: int
    position: int
    at: datetime | None
    until: datetime | None
    known: frozenset[int] = frozenset()

    def is_behind(self, epoch: int) -> bool:
        """Whether what was done in the epoch may be lost."""
        return epoch == self.epoch or epoch not in self.known


@dataclass(frozen=True)
class Store:
    standing: Standing
    epochs: list[Epoch]
    events: int
    numbers_ahead: bool
    boundary: Boundary

    @property
    def refusal(self) -> Refused | None:
        return self.standing.refusal


async def store_of(connection: Connection) -> Store:
    """As the server says. Raises UndefinedTable where the store is not migrated."""
    [row] = await (await connection.execute(LOOK)).fetchall()
    standing = Standing.of(row)
    found = await connection.execute(
        "SELECT epoch, restored_position, first_position, renumbered, began_at, cause, decided_by"
        " FROM store_epochs ORDER BY epoch"
    )
    epochs = [Epoch(*one) for one in await found.fetchall()]
    found = await connection.execute(
        "SELECT coalesce(max(position), 0), numbers_ahead() FROM events"
    )
    [(newest, ahead)] = await found.fetchall()
    boundary = await _boundary(connection, standing, epochs, newest)
    return Store(standing, epochs, newest, ahead, boundary)


async def _boundary(
    connection: Connection, standing: Standing, epochs: list[Epoch], newest: int
) -> Boundary:
    """Of an epoch that is not adopted, the end of the store; of one that is, its beginning. In the
    first epoch it is the end again: a server may have been put back without a trace.
    """
    position, epoch, until = newest, standing.epoch or 1, None
    if standing.is_adopted and len(epochs) > 1:
        now = epochs[-1]
        position, epoch, until = now.restored_position, epochs[-2].epoch, now.began_at
    found = await connection.execute(
        "SELECT recorded_at FROM events WHERE position <= %s ORDER BY position DESC LIMIT 1",
        (position,),
    )
    row = await found.fetchone()
    known = frozenset(one.epoch for one in epochs)
    return Boundary(epoch, position, row[0] if row else None, until, known)

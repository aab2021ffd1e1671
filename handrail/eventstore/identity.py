"""Which store a connection has come to, and whether it is the one that was adopted.

A server that lost its last moments, a promoted standby, a restored dump: each gives out again what
the lost one had given out, transaction numbers, positions, versions of streams. So each begins an
epoch of the store, and until somebody has decided on that, nobody gets a connection. A server's
timeline cannot change under a connection to a primary: to look once for each connection is exact.
`docs/decisions/0023-epochs.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

NewTimeline = Literal["stop", "adopt"]
"""What is done where nothing but the timeline is new: wait for an operator, or begin an epoch."""

UNKNOWN: Final = 0
"""The system identifier of an epoch whose server nobody knows: what was migrated when it held
transaction numbers of another one already."""

# The setting: `off` would let others see, and act on, what the server forgets when it crashes.
# It is set in any case: a server whose files say `off` later does not change who is connected.
# The last column is none in the schema of an earlier release.
LOOK: Final = """
SELECT i.system_identifier, i.timeline, i.events_oid,
       e.epoch, e.system_identifier, e.timeline, e.events_oid, e.first_position,
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       d.oid::bigint, (to_jsonb(e) ->> 'database_oid')::bigint
FROM store_identity() AS i
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN LATERAL (SELECT * FROM store_epochs ORDER BY epoch DESC LIMIT 1) AS e ON true
"""

ADOPT: Final = "SELECT adopt_timeline(%s)"

NOT_MIGRATED: Final = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable)
"""What the look ends in where the database is not at this code's schema yet."""


class Refused(psycopg.OperationalError):
    """The server answers, and nothing may be read from it or written to it now. What it says is a
    sentence for operators.
    """


class OtherStore(Refused):
    """The server is not the one the store was on: an operator decides."""


class Standby(Refused):
    """The server is a standby: it has no feed, and takes no events."""


class NotWhole(Refused):
    """The store is being restored: what it has so far is not the store."""


@dataclass(frozen=True)
class Identity:
    """`timeline` is None on a standby. `database_oid` tells a copy by CREATE DATABASE … TEMPLATE,
    which has the table of events under the same number; None where it was never written down.
    """

    system_identifier: int
    timeline: int | None
    events_oid: int
    database_oid: int | None = None

    def __str__(self) -> str:
        if self.system_identifier == UNKNOWN:
            return "a server that nobody knows"
        # As pg_controldata prints it.
        system = self.system_identifier % 2**64
        database = f", database {self.database_oid}" if self.database_oid else ""
        return f"system {system}, timeline {self.timeline}{database}, events {self.events_oid}"

    def is_in_database_of(self, other: Identity) -> bool:
        """As far as is known."""
        return None in {self.database_oid, other.database_oid} or (
            self.database_oid == other.database_oid
        )


@dataclass(frozen=True)
class Standing:
    """Where a connection has come to, and what the newest epoch says; there is none in a store that
    is not migrated, and in one that a dump is being restored into.
    """

    now: Identity
    epoch: int = 0
    adopted: Identity | None = None
    first_position: int = 0
    """Of the epoch: what has a lower one is of an earlier epoch."""

    @classmethod
    def of(cls, row: Sequence[Any]) -> Standing:
        """A row of LOOK."""
        now = Identity(row[0], row[1], row[2], row[9])
        if row[3] is None:
            return cls(now)
        return cls(now, row[3], Identity(row[4], row[5], row[6], row[10]), row[7])

    @property
    def is_adopted(self) -> bool:
        before, now = self.adopted, self.now
        return (
            before is not None
            and before.system_identifier == now.system_identifier
            and before.timeline == now.timeline
            and before.events_oid == now.events_oid
            and before.is_in_database_of(now)
        )

    @property
    def is_promoted(self) -> bool:
        """Nothing but the timeline is new, and it is a later one."""
        before, now = self.adopted, self.now
        return (
            before is not None
            and before.system_identifier == now.system_identifier
            and before.events_oid == now.events_oid
            and before.is_in_database_of(now)
            and (before.timeline or 0) < (now.timeline or 0)
        )

    @property
    def refusal(self) -> Refused | None:
        """Why nobody may use it."""
        if self.now.timeline is None:
            return Standby(
                "the server is a standby, which has no feed and takes no events:"
                " HANDRAIL_DATABASE_URL has to lead to the primary"
                " (with several hosts, target_session_attrs=read-write)"
            )
        if self.adopted is None:
            return NotWhole(
                "the database has the functions of a store and no epoch: a dump is being restored"
                " into it; nothing is read or written before that has ended and"
                " `handrail restore check` has said what was lost"
            )
        if self.is_adopted:
            return None
        return OtherStore(
            f"this is another store than the one of epoch {self.epoch}: the server is {self.now},"
            f" and that one was {self.adopted}; nothing is read or written before"
            " `handrail restore check` has said what was lost, and `handrail restore adopt` has"
            f" begun epoch {self.epoch + 1}"
        )


def refuse_another_store(connection: Any, new_timeline: NewTimeline = "stop", by: str = "") -> bool:
    """Look from a connection of the driver that is in no transaction; answers whether there is a
    store. Where there is none a dump may be restored later: look again. Raises Refused.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(LOOK)
            standing = Standing.of(cursor.fetchone())
            if standing.is_promoted and new_timeline == "adopt":
                cursor.execute(ADOPT, (by,))
                cursor.execute(LOOK)
                standing = Standing.of(cursor.fetchone())
    except NOT_MIGRATED:
        connection.rollback()
        return False
    connection.commit()
    if standing.refusal:
        raise standing.refusal
    return True


def refused_in(error: BaseException) -> Refused | None:
    """What an error says of the store, however it was wrapped."""
    original = getattr(error, "orig", None)
    if isinstance(original, Refused):
        return original
    return error if isinstance(error, Refused) else None

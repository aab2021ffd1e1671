"""Write levels in the database: processes announce what they read, and raise what may be written.

Each process that reads events has a row in `process_versions`, and renews it every few seconds. A
newer form is written once all live processes can read it: then any of them raises the level in
`event_levels`, under an advisory lock. A process that starts announces itself under the same lock,
shared, and reads the levels then: so it is either counted by what raises them, or sees what was
raised, and stops. No statement of an append takes part: the codec reads a value in memory.

A process is dead once its row stayed as it was for `DEAD_AFTER` on the clock of the process that
watches it, which is never put back; as with leases (`subscriptions/heartbeats.py`) the database's
clock decides nothing. One that was taken for dead and was not finds the level raised, and stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from psycopg.types.json import Jsonb

from handrail.eventstore.codec import Codec
from handrail.eventstore.level_tables import EVERY
from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions.heartbeats import Sign, SignsOfLife
from handrail.evolution.forms import Form
from handrail.evolution.lineages import Lineages, allowed_of, readable_of
from handrail.sagas.shapes import SagaShapes

BEATS_EVERY: Final = 2.0
"""Seconds between two signs of life of a process."""
DEAD_AFTER: Final = timedelta(seconds=15)
"""Without a sign of life, as watched by another process."""

WORKER: Final = "worker"
"""The kind of process that runs sagas."""

_LOCK: Final = 0x6C6576656C
"""Of pg_advisory_xact_lock: shared by what announces itself, exclusive for what raises levels."""
_SHARED: Final = f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
_EXCLUSIVE: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"
_ANNOUNCE: Final = (
    "INSERT INTO process_versions AS p (process, kind, reads, release, shapes, seen_at)"
    " VALUES (%s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT (process) DO UPDATE"
    " SET reads = excluded.reads, shapes = excluded.shapes, seen_at = excluded.seen_at"
)
_LEVELS: Final = "SELECT event, version, raised_at, raised_by FROM event_levels"
_PROCESSES: Final = (
    "SELECT process, kind, reads, release, seen_at, shapes FROM process_versions ORDER BY process"
)
_RAISE: Final = (
    "INSERT INTO event_levels AS l (event, version, raised_by) VALUES (%s, %s, %s)"
    " ON CONFLICT (event) DO UPDATE SET version = excluded.version,"
    " raised_at = excluded.raised_at, raised_by = excluded.raised_by"
    " WHERE l.version < excluded.version"
)


class CannotRead(Exception):
    """This release cannot read a form that may be written: start a newer one."""


@dataclass(frozen=True)
class Level:
    """The newest version of a message that may be written under a name."""

    event: str
    version: int
    raised_at: datetime
    raised_by: str


@dataclass(frozen=True)
class Announced:
    """A process that reads events; `reads` is the newest version under each name that has several
    forms, and `shapes` the newest shape that it knows of each type of saga.
    """

    process: str
    kind: str
    reads: Mapping[str, int]
    release: str
    seen_at: datetime
    shapes: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {self.process}" + (
            f" of release {self.release}" if self.release else ""
        )


@dataclass(frozen=True)
class Standing:
    """The levels and the processes, as a transaction saw them."""

    levels: Sequence[Level]
    processes: Sequence[Announced]

    @property
    def rows(self) -> Mapping[str, int]:
        return {one.event: one.version for one in self.levels if one.event != EVERY}

    @property
    def has_begun(self) -> bool:
        return any(one.event == EVERY for one in self.levels)


def unreadable(lineages: Lineages, levels: Sequence[Level]) -> Sequence[str]:
    """A sentence for each form that may be written and that this code cannot read."""
    found = []
    for one in levels:
        reads = lineages.readable.get(one.event, 1 if one.event in lineages.names else 0)
        if one.event != EVERY and one.version > reads:
            known = f"reads it up to version {reads}" if reads else "does not know it"
            found.append(
                f"{one.event} version {one.version} may be written since"
                f" {one.raised_at:%F %T %Z} (raised by {one.raised_by}), and this release {known}:"
                f" start the release that raised it, or a newer one. Levels are never lowered;"
                " `handrail contracts level` shows them"
            )
    return found


async def standing(connection: Connection) -> Standing:
    """Without a lock: for what is shown."""
    levels = await (await connection.execute(_LEVELS)).fetchall()
    processes = await (await connection.execute(_PROCESSES)).fetchall()
    return Standing([Level(*one) for one in levels], [Announced(*one) for one in processes])


async def raise_levels(
    connection: Connection,
    lineages: Lineages,
    wanted: Mapping[Form, Form],
    *,
    silent: Mapping[str, datetime],
    by: str,
) -> Sequence[Form]:
    """Raise ladders, by their first forms, to the wanted forms or as far as all processes can read;
    answers what was raised. `silent` are the processes that count as dead, with the sign of life
    that they were watched at: one that gave another meanwhile lives.
    """
    raised = []
    async with connection.transaction():
        await connection.execute(_EXCLUSIVE)
        now = await standing(connection)
        live = [one for one in now.processes if silent.get(one.process) != one.seen_at]
        for ladder in lineages.ladders:
            if (to := wanted.get(ladder[0])) is None:
                continue
            able = min((ladder.index(readable_of(ladder, one.reads)) for one in live), default=99)
            place = min(ladder.index(to), able)
            for form in ladder[ladder.index(allowed_of(ladder, now.rows)) + 1 : place + 1]:
                await connection.execute(_RAISE, (form.name, form.version, by))
                raised.append(form)
    return raised


@dataclass
class Announcer:
    """Announces this process, keeps the codec's levels fresh and the shapes in which sagas begin,
    and raises what all can read.

    `process` is unique among the living. Levels are raised once all live processes could read the
    newer form for `raises_after` seconds; None: only an operator raises them. `clock` counts
    seconds and never goes back.
    """

    codec: Codec
    process: str
    kind: str
    release: str = ""
    raises_after: float | None = 60.0
    shapes: SagaShapes = field(default_factory=lambda: SagaShapes({}))
    clock: Callable[[], float] = time.monotonic
    _signs: SignsOfLife[str] = field(init=False)
    _able_since: dict[Form, tuple[Form, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._signs = SignsOfLife(self.clock)
        if self.codec.levels.rows is None:
            self.codec.levels.rows = {}  # the first forms, until it is known what all can read

    async def beat(self, connection: Connection) -> Sequence[Form]:
        """A sign of life; answers what it raised. Raises CannotRead."""
        lineages = self.codec.lineages
        now = await self._announce(connection)
        if not now.has_begun:
            await self._begin(connection)
            now = await self._announce(connection)
        self.codec.levels.rows = now.rows
        if said := unreadable(lineages, now.levels):
            raise CannotRead("; ".join(said))
        silent = self.silent(now)
        live = [one for one in now.processes if one.process not in silent]
        self.shapes.workers = [one.shapes for one in live if one.kind == WORKER]
        wanted = self._able_long_enough(now, live)
        gone = {one.process: one.seen_at for one in now.processes if one.process in silent}
        if gone:
            await self._forget(connection, gone)
        if not wanted:
            return ()
        raised = await raise_levels(connection, lineages, wanted, silent=gone, by=self._by)
        if raised:
            self.codec.levels.rows = (await standing(connection)).rows
        return raised

    async def leave(self, connection: Connection) -> None:
        """What comes after it need not wait until it is taken for dead."""
        await connection.execute("DELETE FROM process_versions WHERE process = %s", (self.process,))

    def silent(self, now: Standing) -> AbstractSet[str]:
        """The processes that count as dead."""
        signs = {one.process: Sign(one.seen_at, DEAD_AFTER) for one in now.processes}
        return self._signs.silent(signs) - {self.process}

    @property
    def _by(self) -> str:
        return f"{self.kind} {self.process}" + (
            f" of release {self.release}" if self.release else ""
        )

    async def _announce(self, connection: Connection) -> Standing:
        lineages = self.codec.lineages
        reads, shapes = Jsonb(dict(lineages.readable)), Jsonb(dict(self.shapes.newest))
        said = (self.process, self.kind, reads, self.release, shapes)
        async with connection.transaction():
            await connection.execute(_SHARED)
            await connection.execute(_ANNOUNCE, said)
            return await standing(connection)

    async def _begin(self, connection: Connection) -> None:
        """The first process there is begins the levels, at the newest forms it knows: of a store
        without events, and of one that was written by releases that did not know of levels.
        """
        async with connection.transaction():
            await connection.execute(_EXCLUSIVE)
            if (await standing(connection)).has_begun:
                return
            await connection.execute(_RAISE, (EVERY, 1, self._by))
            for ladder in self.codec.lineages.ladders:
                for form in ladder[1:]:
                    await connection.execute(_RAISE, (form.name, form.version, self._by))

    async def _forget(self, connection: Connection, gone: Mapping[str, datetime]) -> None:
        await connection.execute(
            "DELETE FROM process_versions AS p USING unnest(%s::text[], %s::timestamptz[])"
            " AS gone (process, seen_at)"
            " WHERE (p.process, p.seen_at) = (gone.process, gone.seen_at)",
            (list(gone), list(gone.values())),
        )

    def _able_long_enough(self, now: Standing, live: Sequence[Announced]) -> Mapping[Form, Form]:
        """By the first form of a ladder, the form that may be written from now on."""
        if self.raises_after is None:
            return {}
        moment = self.clock()
        wanted: dict[Form, Form] = {}
        for ladder in self.codec.lineages.ladders:
            able = min(ladder.index(readable_of(ladder, one.reads)) for one in live)
            to = ladder[able]
            known, since = self._able_since.get(ladder[0], (None, moment))
            if known != to:
                since = moment
            self._able_since[ladder[0]] = (to, since)
            allowed = ladder.index(allowed_of(ladder, now.rows))
            if able > allowed and moment - since >= self.raises_after:
                wanted[ladder[0]] = to
        return wanted

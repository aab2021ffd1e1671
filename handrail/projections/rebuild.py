"""Build read models anew beside those in use, and exchange each once it has caught up.

The runners do the work, as they do for every checkpoint. Readers see the old rows until the
exchange, which is one transaction. It may be interrupted at any point and begun again.

Read models that are begun together stand at the same place and are read on together: the events are
read and decoded once for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from handrail.access.database_roles import DatabaseRoles
from handrail.eventstore.identity import refused_in
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.projections.install import begin, discard, lock, owner_engine, version_of
from handrail.projections.projection import Projection
from handrail.projections.read_model import NEXT
from handrail.projections.tables import exchange

_log = structlog.get_logger(__name__)

_PAUSE: Final = 0.1
_FROZEN_SECONDS: Final = 2
_KEEPER: Final = "rebuild"
_ROLES: Final = DatabaseRoles()


class UnknownReadModel(LookupError):
    """There is no projection of this name."""


def start(
    url: str,
    role: str | None,
    names: Sequence[str],
    projections: Sequence[Projection[Any]],
    roles: DatabaseRoles = _ROLES,
) -> None:
    """Begin, or go on with what was begun for the same version. Raises UnknownReadModel."""
    wanted = [_named(name, projections) for name in names]
    engine = owner_engine(url)
    try:
        with engine.begin() as connection:
            lock(connection)
            for projection in wanted:
                if version_of(connection, projection.name + NEXT) != projection.version:
                    discard(connection, projection, NEXT)
                    begin(connection, projection, role, NEXT, roles)
    finally:
        engine.dispose()


def finish(url: str, name: str, projections: Sequence[Projection[Any]]) -> bool:
    """Exchange the two where the new one has caught up, or there is nothing to exchange any more.

    The one in use is frozen first, for a few seconds at most, so that the new one can pass it: no
    reader ever sees a row go back in time.
    """
    projection = _named(name, projections)
    engine = owner_engine(url)
    try:
        with engine.begin() as connection:
            if version_of(connection, name + NEXT) is None:
                return True
            if not _has_read_history(connection, name):
                return False
            _hurry(connection)
            _freeze(connection, name)
        try:
            return _exchange_soon(engine, projection)
        finally:
            with engine.begin() as connection:
                _thaw(connection, name)
    except OperationalError as error:
        if refused_in(error):
            raise
        _log.info("not exchanged yet", projection=name, error=str(error.orig))
        return False
    finally:
        engine.dispose()


async def rebuild(
    url: str,
    role: str | None,
    names: Sequence[str],
    projections: Sequence[Projection[Any]],
    roles: DatabaseRoles = _ROLES,
) -> None:
    """Start, wait for the runners to build them, and exchange: returns when all are in use.

    At least one projector of this version has to run. Cancelled, it can be called again. Raises
    UnknownReadModel.
    """
    await asyncio.to_thread(start, url, role, names, projections, roles)
    left = list(names)
    while left:
        for name in await asyncio.to_thread(_ready, url, left):
            if await asyncio.to_thread(finish, url, name, projections):
                left.remove(name)
        await asyncio.sleep(_PAUSE)


def pending(url: str) -> Sequence[str]:
    """The projections that are being built, whoever began it."""
    engine = owner_engine(url)
    try:
        with engine.begin() as connection:
            names = connection.execute(text("SELECT name FROM read_models ORDER BY name")).scalars()
            return [name.removesuffix(NEXT) for name in names if name.endswith(NEXT)]
    finally:
        engine.dispose()


def _named(name: str, projections: Sequence[Projection[Any]]) -> Projection[Any]:
    for projection in projections:
        if projection.name == name:
            return projection
    known = ", ".join(sorted(projection.name for projection in projections))
    raise UnknownReadModel(f"{name}: not one of {known}")


def _hurry(connection: Connection) -> None:
    """Who waits for a lock makes all others wait behind it."""
    connection.execute(text("SET LOCAL lock_timeout = '300ms'"))


def _ready(url: str, names: Sequence[str]) -> Sequence[str]:
    """Those of them that have read all history, or are not being built any more."""
    engine = owner_engine(url)
    try:
        with engine.begin() as connection:
            return [
                name
                for name in names
                if version_of(connection, name + NEXT) is None
                or _has_read_history(connection, name)
            ]
    finally:
        engine.dispose()


def _has_read_history(connection: Connection, name: str) -> bool:
    found = connection.execute(
        text("SELECT bool_and(since::text <> :nothing) FROM checkpoints WHERE projection = :next"),
        {"next": name + NEXT, "nothing": NOTHING_SEEN},
    )
    return bool(found.scalar_one())


def _freeze(connection: Connection, name: str) -> None:
    """Take the checkpoints of the one in use, as a runner would, so that nobody moves them."""
    connection.execute(
        text(
            "UPDATE checkpoints SET owner = :keeper, revision = revision + 1,"
            " leased_until = clock_timestamp() + make_interval(secs => :seconds),"
            " lease = make_interval(secs => :seconds)"
            " WHERE projection = :name"
        ),
        {"keeper": _KEEPER, "seconds": 2 * _FROZEN_SECONDS, "name": name},
    )


def _thaw(connection: Connection, name: str) -> None:
    connection.execute(
        text(
            "UPDATE checkpoints SET owner = NULL, leased_until = NULL"
            " WHERE projection = :name AND owner = :keeper"
        ),
        {"keeper": _KEEPER, "name": name},
    )


def _exchange_soon(engine: Engine, projection: Projection[Any]) -> bool:
    deadline = time.monotonic() + _FROZEN_SECONDS
    while time.monotonic() < deadline:
        with engine.begin() as connection:
            lock(connection)
            _hurry(connection)
            if _has_passed(connection, projection.name):
                _exchange(connection, projection)
                return True
        time.sleep(_PAUSE / 5)
    return False


def _has_passed(connection: Connection, name: str) -> bool:
    """Nothing that the frozen one has seen is new to the other; both are locked from here on.

    It goes by events, since the snapshots of an idle checkpoint stay behind.
    """
    names = {"name": name, "next": name + NEXT, "keeper": _KEEPER}
    found = connection.execute(_PASSED, names).scalars().all()
    return len(found) == SHARDS and all(found)


_PASSED: Final = text("""
SELECT live.owner = :keeper AND live.leased_until > clock_timestamp() AND next.until IS NULL
    AND NOT EXISTS (
        SELECT FROM outbox o
        WHERE o.txid >= pg_snapshot_xmax(next.since) AND o.shard = live.shard
          AND pg_visible_in_snapshot(o.txid, coalesce(live.until, live.since)))
    AND NOT EXISTS (
        SELECT FROM outbox o
        WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(next.since))) AND o.shard = live.shard
          AND pg_visible_in_snapshot(o.txid, coalesce(live.until, live.since)))
FROM checkpoints live JOIN checkpoints next ON next.shard = live.shard
WHERE live.projection = :name AND next.projection = :next
ORDER BY live.shard FOR UPDATE
""")


def _exchange(connection: Connection, projection: Projection[Any]) -> None:
    names = {"name": projection.name, "next": projection.name + NEXT}
    for table in projection.tables:
        exchange(connection, table, NEXT)
    # A revision that neither of the two ever had shuts out whoever still works on one of them.
    outdate = (
        "UPDATE checkpoints n SET revision = greatest(n.revision, l.revision) + 1,"
        " owner = NULL, leased_until = NULL FROM checkpoints l"
        " WHERE n.projection = :next AND l.projection = :name AND n.shard = l.shard"
    )
    for statement in (
        outdate,
        "DELETE FROM checkpoints WHERE projection = :name",
        "UPDATE checkpoints SET projection = :name WHERE projection = :next",
        "DELETE FROM parked_events WHERE projection = :name",
        "UPDATE parked_events SET projection = :name WHERE projection = :next",
        "DELETE FROM read_models WHERE name = :name",
        "UPDATE read_models SET name = :name WHERE name = :next",
    ):
        connection.execute(text(statement), names)
    _log.info("read model exchanged", projection=projection.name, version=projection.version)

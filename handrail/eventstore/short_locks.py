"""Locks of tables in use: waited for in short tries, for who waits makes all others wait behind it.

A statement that changes a table waits for every transaction that reads it, and each writer that
comes later waits behind that statement. So a migration gives up a lock after 300 ms, lets the
others pass, and begins its transaction anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine, exc

T = TypeVar("T")

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('handrail migrate'))"
"""Of several processes that migrate at once one does, and the others find it done."""
LONGEST_LOCK_WAIT: Final = 0.3
"""Seconds that a writer may wait behind a migration, for each try."""
_LONGEST: Final = 60.0
"""Seconds of trying: a transaction that takes longer is a report, or was forgotten."""
_PAUSE: Final = (0.2, 1.0)
"""Seconds between two tries, in which those that waited go on."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
_log = structlog.get_logger(__name__)


class TablesBusy(Exception):
    """A transaction has a table for long that a migration changes: end it, and migrate again."""


def in_short_locks(
    engine: Engine, work: Callable[[Connection], T], *, longest: float = _LONGEST
) -> T:
    """What `work` answers, in a transaction of its own; it is begun again where a lock is not to be
    had, for `longest` seconds. `work` says `wait_briefly` before the first table it changes.

    Raises TablesBusy, which names the statement and the oldest transaction.
    """
    until = time.monotonic() + longest
    while True:
        try:
            with engine.begin() as connection:
                return work(connection)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                raise
            statement = " ".join((error.statement or "").split())[:200]
            if time.monotonic() > until:
                raise TablesBusy(
                    f"no lock was to be had in {longest:.0f} s for: {statement}. {_oldest(engine)}"
                ) from None
            _log.info("a table is in use: the migration begins again", statement=statement)
        time.sleep(random.uniform(*_PAUSE))  # noqa: S311  # no secret


def wait_briefly(connection: Connection) -> None:
    """From here on the transaction waits for a lock as long as a writer may wait behind it."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LONGEST_LOCK_WAIT * 1000:.0f}ms'")


def _oldest(engine: Engine) -> str:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT pid, usename, application_name, extract(epoch FROM now() - xact_start)"
            " FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
            " AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1"
        ).first()
    if found is None:
        return "It is not in use any more: migrate again"
    pid, user, application, seconds = found
    return (
        f"The oldest transaction is {seconds:.0f} s old, of {user} ({application}, pid {pid}):"
        f" end it, such as by pg_terminate_backend({pid}), and migrate again"
    )

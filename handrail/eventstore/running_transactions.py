"""Waiting for the transactions that were running when something was changed."""

from __future__ import annotations

import time
from typing import Final

import structlog
from sqlalchemy import Engine

_log = structlog.get_logger(__name__)

_LONGEST_WAIT: Final = 10.0
"""Seconds. A call of the store takes milliseconds: what runs for longer is a report or a dump."""
_PAUSE: Final = 0.02  # seconds

# Every role sees all locks, and to which database a session belongs.
_RUNNING: Final = """
SELECT l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'virtualxid' AND l.virtualxid = l.virtualtransaction
  AND a.datname = current_database() AND l.pid <> pg_backend_pid()
"""


def wait_for_running(engine: Engine, longest: float = _LONGEST_WAIT) -> bool:
    """Waits until the transactions that run in this database now have ended, at most `longest`
    seconds; answers whether they have.

    As `CREATE INDEX CONCURRENTLY` does: each transaction holds a lock on its virtual id. What a
    function may do is looked at while it runs, statement by statement, and how it runs (as its
    owner or as its caller) when it is called: a call that is under way still needs what it had.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = set(connection.exec_driver_sql(_RUNNING).scalars())
        until = time.monotonic() + longest
        while before & set(connection.exec_driver_sql(_RUNNING).scalars()):
            if time.monotonic() > until:
                _log.warning("transactions are still running", seconds=longest)
                return False
            time.sleep(_PAUSE)
    return True

"""Builds indexes of tables in use beside their writers: CREATE INDEX CONCURRENTLY.

It cannot run in the transaction of a migration. Where it was cut off it has left an index that is
not valid; the next migration drops that one, and builds it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, Index
from sqlalchemy.schema import CreateIndex

from handrail.eventstore.tables import events, retry_requests, webhooks

BUILT_IN_USE: Final = (
    "events_actor_idx",
    "events_correlation_idx",
    "webhooks_subject_idx",
    "retry_requests_unsettled_idx",
    "retry_requests_settled_idx",
)
"""The indexes that came to a table when there may have been rows in it already."""
_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('handrail indexes'))"
_NO_LONGER: Final = "SELECT pg_advisory_unlock(hashtext('handrail indexes'))"
_PAUSE: Final = 0.2  # seconds
_STANDING: Final = """
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s)
"""


def build_indexes(engine: Engine, wanted: Sequence[Index] | None = None) -> list[str]:
    """Builds those that are missing, as the owner of the tables; answers the statements. `wanted`
    are indexes of tables that are there; None: those of the event store.
    """
    indexes = _of_the_store() if wanted is None else wanted
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _statements(connection, indexes):
            return []
        with _alone(connection):
            done = _statements(connection, indexes)
            for statement in done:
                connection.exec_driver_sql(statement)
    return done


def _statements(connection: Connection, indexes: Sequence[Index]) -> list[str]:
    names = [str(one.name) for one in indexes]
    found = connection.exec_driver_sql(_STANDING, {"names": names})
    valid: dict[str, bool] = {name: is_valid for name, is_valid in found}  # noqa: C416  # rows
    dropped = [
        f"DROP INDEX CONCURRENTLY {name}" for name, is_valid in valid.items() if not is_valid
    ]
    built = [_build(one, connection) for one in indexes if not valid.get(str(one.name), False)]
    return [*dropped, *built]


def _of_the_store() -> Sequence[Index]:
    every = (one for table in (events, webhooks, retry_requests) for one in table.indexes)
    named = {str(one.name): one for one in every}
    return [named[name] for name in BUILT_IN_USE]


def _build(index: Index, connection: Connection) -> str:
    statement = str(CreateIndex(index).compile(dialect=connection.dialect))
    return statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    # A statement that waits for the lock would have a snapshot, which the build waits for in turn.
    while not connection.exec_driver_sql(_ALONE).scalar_one():
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        connection.exec_driver_sql(_NO_LONGER)

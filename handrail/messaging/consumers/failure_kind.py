"""Whose fault a failure is: that of the message, which then waits, or of the database."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

LONGEST_CAUSE: Final = 1000

_OF_THE_DATABASE: Final = (
    psycopg.OperationalError,  # gone, full, shutting down; also a deadlock
    psycopg.InterfaceError,  # a connection that was closed meanwhile
    errors.ReadOnlySqlTransaction,  # a standby: the primary has moved
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    PoolTimeout,
)
"""What no message can do to a healthy database that is migrated as the code needs it. Handled
again later, every message may succeed; parked, all of them would wait for a person."""


def is_of_the_database(error: BaseException) -> bool:
    return isinstance(error, _OF_THE_DATABASE)


def cause_of(error: BaseException) -> str:
    message = str(error).replace("\x00", "")
    return f"{type(error).__name__}: {message}"[:LONGEST_CAUSE]

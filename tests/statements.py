"""The statements that are sent to one database, which tests of costs count."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest


def statements_of(
    url: str, monkeypatch: pytest.MonkeyPatch, *, but: psycopg.AsyncConnection[Any] | None = None
) -> list[str]:
    """What anybody sends there from now on by psycopg's asynchronous cursors.

    In the same process others may be at work, on databases of their own; and `but` is a connection
    of the test's.
    """
    database = urlsplit(url).path.removeprefix("/")
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def noting(cursor: Any, query: Any, *rest: Any, **more: Any) -> Any:
        connection = cursor.connection
        if connection is not but and connection.info.dbname == database:
            sent.append(query if isinstance(query, str) else query.as_string())
        return await execute(cursor, query, *rest, **more)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noting)
    return sent

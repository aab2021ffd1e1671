"""Asks the lake: one SELECT, bounded in time, rows and size."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from handrail.lake.reading import Connection
from handrail.lake.select_only import only_select

SECONDS: Final = 300.0
"""How long an answer may take."""
ROWS: Final = 100_000
"""How many rows an answer has at most."""
CHARACTERS: Final = 200_000_000
"""How many characters and bytes the values of an answer have together, at most."""
_AT_ONCE: Final = 200


@dataclass(frozen=True)
class Answer:
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class TooMuch(Exception):
    """The answer has too many rows or characters, or takes too long. Says what to do."""


def ask(
    connection: Connection,
    sql: str,
    *,
    seconds: float = SECONDS,
    rows: int = ROWS,
    characters: int = CHARACTERS,
) -> Answer:
    """Raises NotAQuery, TooMuch, and duckdb.Error for what DuckDB cannot answer."""
    query = only_select(connection, sql)
    ended = threading.Timer(seconds, connection.interrupt)
    ended.daemon = True
    ended.start()
    try:
        result = connection.execute(query)
        found: list[tuple[Any, ...]] = []
        size = 0
        while len(found) <= rows and (some := result.fetchmany(_AT_ONCE)):
            found += some
            size += _size(some)
            if size > characters:
                raise TooMuch(
                    f"the answer has more than {characters} characters: name the columns it is to"
                    " have, or add a LIMIT"
                )
    except duckdb.InterruptException:
        raise TooMuch(
            f"there was no answer within {seconds:g} seconds: name a `day` or a `context`, or allow"
            " it more `--seconds`"
        ) from None
    finally:
        ended.cancel()
    if len(found) > rows:
        raise TooMuch(f"the answer has more than {rows} rows: add a LIMIT, or count")
    return Answer([one[0] for one in result.description or []], found)


def _size(value: Any) -> int:
    """In characters and bytes; a number counts as eight."""
    match value:
        case str() | bytes():
            return len(value)
        case list() | tuple():
            return sum(map(_size, value))
        case dict():
            return _size(list(value.keys())) + _size(list(value.values()))
        case _:
            return 8

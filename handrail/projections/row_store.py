"""Read the rows of several read models in one statement, and write them in another.

Which models there are makes the text of a statement, not which of them have rows to read or write:
so the few texts that a process sends are planned once a connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg import sql

from handrail.eventstore.pool import Connection
from handrail.projections import parked_rows
from handrail.projections.read_model import Change, ReadModel

Model = ReadModel[Any]


@dataclass(frozen=True)
class Found:
    """By the name of the read model: its rows by id, and the ids that have parked events."""

    rows: Mapping[str, dict[str, Any]]
    waiting: Mapping[str, set[str]]


async def ask(connection: Connection, wanted: Mapping[Model, Sequence[str]]) -> Any:
    """The rows with these ids, as a cursor: `found` reads it."""
    ids = [list(some) for some in wanted.values()]
    names = [one.name for one in wanted]
    everybody = sorted({id_ for some in ids for id_ in some})
    return await connection.execute(_reading(tuple(wanted)), (*ids, names, everybody))


async def found(cursor: Any, models: Sequence[Model]) -> Found:
    by_name = {model.name: model for model in models}
    rows: dict[str, dict[str, Any]] = {name: {} for name in by_name}
    waiting: dict[str, set[str]] = {name: set() for name in by_name}
    for name, stored in await cursor.fetchall():
        if name is None:
            waiting[stored["projection"]].add(stored["id"])
        else:
            row = by_name[name].row(stored)
            rows[name][stored[by_name[name].projection.key]] = row
    return Found(rows, waiting)


async def keep(connection: Connection, changes: Mapping[Model, Change[Any]]) -> None:
    """Raises Unstorable."""
    parameters = [text for model, change in changes.items() for text in model.parameters(change)]
    await connection.execute(_writing(tuple(changes)), parameters)


@lru_cache(maxsize=64)
def _reading(models: Sequence[Model]) -> str:
    parts = [*(model.select for model in models), sql.SQL(parked_rows.WAITING)]
    return sql.SQL(" UNION ALL ").join(parts).as_string()


@lru_cache(maxsize=64)
def _writing(models: Sequence[Model]) -> str:
    *others, last = [insert for model in models for insert in model.inserts]
    if not others:
        return last.as_string()
    named = [
        sql.SQL("{} AS ({})").format(sql.Identifier(f"w{number}"), insert)
        for number, insert in enumerate(others)
    ]
    return sql.SQL("WITH {} {}").format(sql.SQL(", ").join(named), last).as_string()

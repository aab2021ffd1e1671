"""`handrail blame`: a row with the event that last set each of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from cyclopts import Parameter
from rich.console import Console

from handrail.cli.api_client import Api
from handrail.cli.bulk import Result
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import run_with_api
from handrail.terminal_tables import Column, Table

_LONGEST = 60
"""Letters of a value in the table; with --json it is whole."""


def blame(
    *resource: Annotated[
        str,
        Parameter(help="The words of its address in the API: `trips 42` is /trips/42."),
    ],
    as_of: Annotated[
        datetime | None,
        Parameter(help="As of this moment, such as 2026-03-02T12:00; in UTC. Without: now."),
    ] = None,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Show a resource's fields, each with the event that last set it: who, when, why."""

    def work(api: Api, console: Console) -> Result:
        words = [word for one in resource for word in one.split("/") if word]
        path = "/".join(quote(one, safe="") for one in words)
        moment = as_of and (as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)).isoformat()
        found = api.get(f"/{path}/blame", as_of=moment)
        table_of(found).print(console)
        if not found["complete"]:
            console.print("fields without an event were set earlier in its long history")
        if found["stopped_at"] is not None:
            console.print(f"the read model stands still at event {found['stopped_at']}")
        return 0, found

    return run_with_api(work, json=json, wide=wide)


def table_of(found: Mapping[str, Any]) -> Table:
    table = Table(
        (
            Column("field"),
            Column("value", kind="text"),
            Column("set by"),
            Column("event", rank=1),
            Column("at", rank=2),
            Column("actor", rank=3),
            Column("reason", rank=4),
        )
    )
    for one in found["fields"]:
        by = one["set_by"] or {}
        at = by.get("recorded_at")
        table.add(
            one["field"],
            _value(one["value"]),
            by.get("id", "earlier"),
            by.get("type", ""),
            f"{datetime.fromisoformat(at).astimezone(UTC):%F %T}" if at else "",
            by.get("actor", ""),
            by.get("reason", ""),
        )
    return table


def _value(value: Any) -> str:
    said = value if isinstance(value, str) else orjson.dumps(value).decode()
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"

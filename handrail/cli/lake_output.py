"""What the lake answers, in a terminal, as JSON, or as a page."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import orjson

from handrail.app import App
from handrail.lake.cells import shown
from handrail.lake.questions import SECONDS, Answer, TooMuch, ask
from handrail.lake.reading import NoLake, open_lake
from handrail.lake.select_only import NotAQuery
from handrail.terminal_tables import Column, Table, terminal


def answer(
    app: App,
    folder: Path,
    sql: str,
    as_of: datetime | None,
    *,
    json: bool,
    seconds: float = SECONDS,
    wide: bool = False,
) -> int:
    """0 where there is an answer, which may be empty."""
    plan = app.lake()
    question = plan.by_name.get(sql.strip())
    try:
        with open_lake(folder, app.lake_views(plan), as_of=as_of) as lake:
            found = ask(lake, question.sql if question else sql, seconds=seconds)
    except (NoLake, NotAQuery, TooMuch, duckdb.Error) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    if json:
        rows = {"columns": found.columns, "rows": found.records()}
        print(orjson.dumps(rows, default=str, option=orjson.OPT_UTC_Z).decode())
    else:
        console = terminal(wide=wide)
        table_of(found, question.title if question else None).print(console)
        console.print(f"{len(found.rows)} rows")
    return 0


def write_report(app: App, folder: Path, file: Path, as_of: datetime | None) -> int:
    from handrail.lake.page import page  # noqa: PLC0415  # a query does without Matplotlib

    plan = app.lake()
    try:
        with open_lake(folder, app.lake_views(plan), as_of=as_of) as lake:
            written = page(lake, plan, datetime.now(UTC))
    except (NoLake, TooMuch) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    file.write_text(written)
    print(file.resolve())
    return 0


def table_of(found: Answer, title: str | None) -> Table:
    """The first columns are the last to be dropped: an answer begins with its subject."""
    columns = []
    for index, name in enumerate(found.columns):
        cells = [row[index] for row in found.rows]
        number = all(isinstance(one, int | float | Decimal | None) for one in cells)
        whole = number or all(isinstance(one, date | None) for one in cells)
        said = name.replace("_", " ") if title else name
        columns.append(Column(said, index, "whole" if whole else "text", right=number))
    table = Table(columns, title)
    for row in found.rows:
        table.add(*map(shown, row))
    return table

"""What the lake answers, in a terminal, as JSON, or as a page."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal

import duckdb
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handrail.app import App
from handrail.lake.page import page, shown
from handrail.lake.questions import SECONDS, Answer, TooMuch, ask
from handrail.lake.reading import NoLake, open_lake
from handrail.lake.select_only import NotAQuery

_WIDEST: Final = 1000


def answer(
    app: App,
    folder: Path,
    sql: str,
    as_of: datetime | None,
    *,
    json: bool,
    seconds: float = SECONDS,
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
        console, table = Console(), _table(found, question.title if question else None)
        wide = console.options.update(width=_WIDEST)
        console.width = max(console.width, console.measure(table, options=wide).minimum)
        console.print(table)
        console.print(f"{len(found.rows)} rows")
    return 0


def write_report(app: App, folder: Path, file: Path, as_of: datetime | None) -> int:
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


def _table(found: Answer, title: str | None) -> Table:
    """Figures and days are never broken, since they may be copied."""
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, collapse_padding=True)
    for index, name in enumerate(found.columns):
        cells = [row[index] for row in found.rows]
        number = all(isinstance(one, int | float | None) for one in cells)
        whole = number or all(isinstance(one, date | None) for one in cells)
        said = name.replace("_", "\n" if whole else " ") if title else name
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(Text(said), justify=justify, overflow="fold", no_wrap=whole)
    for row in found.rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    return table

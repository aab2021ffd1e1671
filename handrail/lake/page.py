"""The page: figures, a chart for each question, and the rows that it was drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from importlib.resources import files
from typing import Any, Final

from handrail.lake.cells import plain, shown
from handrail.lake.plan import LakePlan, Part
from handrail.lake.questions import Answer, ask
from handrail.lake.reading import Connection

_ROWS: Final = 500


def page(connection: Connection, plan: LakePlan, now: datetime) -> str:
    """The whole of it, as HTML."""
    [figures] = ask(connection, plan.tiles).records()
    [span] = ask(connection, _SPAN).records()
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{plain(value)}</dd></div>"
        for name, value in figures.items()
        if value
    )
    since = f"{span['first']:%d %B %Y} to {span['last']:%d %B %Y, %H:%M}" if span["first"] else ""
    return _PAGE.format(
        style=(files(__package__) / "style.css").read_text(),
        since=f"Events from {since} UTC." if since else "There are no events in the lake.",
        tiles=f'<dl class="tiles">{tiles}</dl>' if tiles else "",
        parts="".join(_section(connection, part) for part in plan.parts()),
        made=f"{now.astimezone(UTC):%d %B %Y, %H:%M} UTC",
    )


_SPAN: Final = "SELECT min(recorded_at) AS first, max(recorded_at) AS last FROM events"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Handrail: what the events say</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>What the events say</h1><p>{since}</p></header>
{tiles}
{parts}
<footer>Made by <code>handrail lake report</code> on {made}.</footer>
</main>
</body>
</html>
"""


def _section(connection: Connection, part: Part) -> str:
    answer = ask(connection, part.question.sql)
    drawn = [row for row in answer.records() if part.drawable(row)]
    if not drawn:
        body = '<p class="nothing">Nothing of the kind has happened yet.</p>'
    elif part.draw is None:
        body = _table(answer)
    else:
        counted = "the row" if len(answer.rows) == 1 else f"the {len(answer.rows)} rows"
        rows = f"<details><summary>{counted}</summary>{_table(answer)}</details>"
        body = part.draw(drawn) + rows
    title = escape(part.question.title)
    return f"<section><h2>{title}</h2><p>{escape(part.says)}</p>{body}</section>"


def _table(answer: Answer) -> str:
    numbers = [
        all(isinstance(row[index], int | float | Decimal | None) for row in answer.rows)
        for index in range(len(answer.columns))
    ]
    head = _row(answer.columns, numbers, "th", lambda name: str(name).replace("_", " "))
    body = "".join(_row(row, numbers, "td", shown) for row in answer.rows[:_ROWS])
    rest = len(answer.rows) - _ROWS
    more = f"<p>and {rest} more: ask with <code>handrail lake query</code></p>" if rest > 0 else ""
    return f'<div class="scroll"><table>{head}{body}</table></div>{more}'


def _row(
    cells: Sequence[Any], numbers: Sequence[bool], tag: str, said: Callable[[Any], str]
) -> str:
    parts = (
        f"<{tag}{' class=number' if number else ''}>{escape(said(cell))}</{tag}>"
        for cell, number in zip(cells, numbers, strict=True)
    )
    return f"<tr>{''.join(parts)}</tr>"

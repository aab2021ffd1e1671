"""Saga coverage as one HTML file, without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from handrail.testing.coverage import STATES, Cell, Place, SagaCoverage, percent_run
from handrail.testing.failure import ENDINGS

_STYLE: Final = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; margin: 0 0 2rem; }
th, td { border: 1px solid #ccc; padding: .2rem .5rem; text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; background: #f2f2f2; }
td span { display: block; white-space: nowrap; }
.run { background: #d7f0dc; }
.never-run { background: #f9d4d0; font-weight: bold; }
.not-applicable { color: #6b6b6b; }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #161616; }
  thead th { background: #2a2a2a; }
  .run { background: #1d4528; }
  .never-run { background: #6b241d; }
  .not-applicable { color: #9a9a9a; }
}
"""


def coverage_page(coverage: SagaCoverage) -> str:
    """A table for each saga: a row for each failure, a column for each step."""
    cells = coverage.cells()
    body = "\n".join(line for saga in coverage.sagas for line in _table(saga, cells))
    legend = ", ".join(f'<span class="{_css(state)}">{state}</span>' for state in STATES)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<title>Saga coverage</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Saga coverage {coverage.percent:.1f} %</h1>\n"
        f"<p>{legend}. Of cases that may end so: how many were run, and how many did.</p>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _table(saga: str, cells: Mapping[Place, Cell]) -> Iterator[str]:
    of_saga = {place: cell for place, cell in cells.items() if place.saga == saga}
    steps = list(dict.fromkeys(place.step for place in of_saga))
    yield f"<h2>{escape(saga)} {percent_run(of_saga.values()):.1f} %</h2>"
    yield "<table>"
    headings = "".join(f'<th scope="col">{escape(step)}</th>' for step in steps)
    yield f'<thead><tr><th scope="col">failure</th>{headings}</tr></thead>'
    yield "<tbody>"
    for failure in dict.fromkeys(place.failure for place in of_saga):
        columns = "".join(f"<td>{_entries(of_saga, saga, step, failure)}</td>" for step in steps)
        yield f'<tr><th scope="row">{escape(failure.replace("_", " "))}</th>{columns}</tr>'
    yield "</tbody></table>"


def _entries(cells: Mapping[Place, Cell], saga: str, step: str, failure: str) -> str:
    """The endings that the failure may have at the step, or else why it is not applicable."""
    found = {ending: cells[Place(saga, step, failure, ending)] for ending in ENDINGS}
    applicable = {ending: cell for ending, cell in found.items() if cell.cases}
    if not applicable:
        why_not = escape(next(iter(found.values())).why_not)
        return f'<span class="not-applicable" title="{why_not}">not applicable</span>'
    return "".join(
        f'<span class="{_css(cell.state)}">{ending}: {_in_words(cell)}</span>'
        for ending, cell in applicable.items()
    )


def _in_words(cell: Cell) -> str:
    if cell.state == "never run":
        return f"never run (0 of {cell.cases})"
    return f"run ({cell.ran} of {cell.cases}, {cell.seen} ended so)"


def _css(state: str) -> str:
    return state.replace(" ", "-")

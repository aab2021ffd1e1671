"""Saga coverage on a terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from handrail.testing.coverage import Cell, Place, SagaCoverage
from handrail.testing.failure import ENDINGS

WIDTH: Final = 80
AT_MOST: Final = 20
"""Cells that were never run, named below the tables; the HTML page has all of them."""
_ROOM: Final = {"not appl.": 25, "never run": 36}
"""How long the name of a step may be for the table to have this column, too: no word is cut."""


def coverage_table(coverage: SagaCoverage) -> RenderableType:
    """A table for each saga, a row for each step: cells that were run, of those applicable."""
    cells = coverage.cells()
    tables = [_table(saga, cells) for saga in coverage.sagas]
    return Group(*tables, *_never_run(coverage.never_run()), _summary(coverage, cells))


def printed(coverage: SagaCoverage) -> str:
    """As plain text."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(coverage_table(coverage))
    return captured.get()


def _table(saga: str, cells: Mapping[Place, Cell]) -> Table:
    steps = list(dict.fromkeys(place.step for place in cells if place.saga == saga))
    longest = max(map(len, steps))
    more = [column for column, room in _ROOM.items() if longest <= room]
    table = Table(title=saga, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("step", no_wrap=True)
    for column in (*ENDINGS, *more):
        table.add_column(column, justify="right", no_wrap=True)
    for step in steps:
        of_step = {
            place: cell for place, cell in cells.items() if (place.saga, place.step) == (saga, step)
        }
        counts = {
            "not appl.": sum(cell.state == "not applicable" for cell in of_step.values()),
            "never run": sum(cell.state == "never run" for cell in of_step.values()),
        }
        table.add_row(
            step, *_ran_by_ending(of_step), *(str(counts[column] or "") for column in more)
        )
    return table


def _ran_by_ending(cells: Mapping[Place, Cell]) -> Iterator[str]:
    for ending in ENDINGS:
        applicable = [
            cell for place, cell in cells.items() if place.ending == ending and cell.cases
        ]
        ran = sum(cell.ran > 0 for cell in applicable)
        yield f"{ran}/{len(applicable)}" if applicable else ""


def _never_run(places: Sequence[Place]) -> Iterator[Text]:
    if places:
        yield Text("never run:", style="bold")
    for place in places[:AT_MOST]:
        yield Text(f"  {place.saga}, {place.step}: {place.failure}, {place.ending}")
    if len(places) > AT_MOST:
        yield Text(f"  and {len(places) - AT_MOST} more: see --saga-coverage-html")


def _summary(coverage: SagaCoverage, cells: Mapping[Place, Cell]) -> Text:
    applicable = [cell for cell in cells.values() if cell.cases]
    ran = sum(cell.ran > 0 for cell in applicable)
    said = f"saga coverage {coverage.percent:.1f} %: {ran} of {len(applicable)} cells were run"
    return Text(said, style="bold")

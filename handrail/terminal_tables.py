"""Tables for a terminal that break no word or id, and where it is narrow drop columns by rank.

A table is laid out in the first of these ways that fits: all columns beside each other; without
those of the highest ranks; with texts on lines of their own below each row; rows as records.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

Cell = str | Text
"""A text is shown as it is: what other companies say may look like markup."""
_GAP: Final = 2
_LEAST: Final = 24
"""Letters a line of a text has at least, where it stands beside other columns."""
_WORD: Final = re.compile(r"\S+")
_ENDLESS: Final = 1_000_000
"""The width of what is no terminal."""


class Terminal(Console):
    """Breaks sentences between words; a word that is longer than a line stays whole."""

    def print(
        self,
        *objects: Any,
        sep: str = " ",
        markup: bool | None = None,
        highlight: bool | None = None,
        **options: Any,
    ) -> None:
        if options.get("soft_wrap") or not all(isinstance(one, str | Text) for one in objects):
            super().print(*objects, sep=sep, markup=markup, highlight=highlight, **options)
            return
        texts = [
            self.render_str(one, markup=markup, highlight=highlight)
            if isinstance(one, str)
            else one
            for one in objects
        ]
        lines = broken(Text(sep).join(texts), self.width)
        whole = {"no_wrap": True, "overflow": "ignore", "crop": False}
        super().print(Text("\n").join(lines), **{**options, **whole})


def terminal(*, json: bool = False, wide: bool = False) -> Console:
    """The console of a command: standard error where JSON is printed.

    Tables and sentences are as long as they are with `wide`, and where the output is a pipe or a
    file; the environment's `COLUMNS` bounds them there.
    """
    console = Terminal(stderr=json)
    if wide or not (console.is_terminal or os.environ.get("COLUMNS")):
        console.width = _ENDLESS
    return console


@dataclass(frozen=True)
class Column:
    """Of rank 0: never dropped; else the column with the highest rank is dropped first.

    Texts are broken between words; `whole` cells, such as ids, figures and states, never are.
    """

    name: str
    rank: int = 0
    kind: Literal["whole", "text"] = "whole"
    right: bool = False


@dataclass(frozen=True)
class Section:
    name: str


@dataclass(frozen=True)
class Table:
    """Rows under named columns. Without a head it is a list of names and what is said of each."""

    columns: Sequence[Column]
    title: str | None = None
    head: bool = True
    rows: list[Sequence[Text] | Section] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        """Raises ValueError where it is not a cell for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append([Text(one) if isinstance(one, str) else one for one in cells])

    def section(self, name: str) -> None:
        """A line above the rows that follow."""
        self.rows.append(Section(name))

    def cells(self, column: int) -> Iterator[Text]:
        """The cells of a column, by its number."""
        return (row[column] for row in self.rows if not isinstance(row, Section))

    def print(self, console: Console) -> None:
        for line in _Layout.of(self, console.width).lines():
            console.print(line, soft_wrap=True)


@dataclass(frozen=True)
class _Layout:
    """`beside` and `below` are numbers of columns, `widths` those of the columns beside."""

    table: Table
    width: int
    beside: Sequence[int]
    below: Sequence[int]
    widths: Sequence[int]

    @classmethod
    def of(cls, table: Table, width: int) -> _Layout:
        columns = range(len(table.columns))
        texts = [column for column in columns if table.columns[column].kind == "text"]
        for below in ([], texts):
            whole = [column for column in columns if column not in below]
            for rank in sorted({0, *(table.columns[one].rank for one in whole)}, reverse=True):
                beside = [column for column in whole if table.columns[column].rank <= rank]
                widths = _widths(table, beside, width)
                if beside and widths is not None:
                    return cls(table, width, beside, below, widths)
        return cls(table, width, (), columns, ())

    def lines(self) -> Iterator[Text]:
        if self.table.title:
            yield from broken(Text(self.table.title, style="italic"), self.width)
        if self.table.head and self.beside:
            yield from self._head()
        for row in self.table.rows:
            if isinstance(row, Section):
                yield Text(row.name, style="bold")
            else:
                yield from self._row(row)
        shown = {*self.beside, *self.below}
        gone = [one.name for number, one in enumerate(self.table.columns) if number not in shown]
        if gone:
            note = f"not shown here: {', '.join(gone)}. --wide shows them."
            yield from broken(Text(note, style="dim"), self.width)

    def _head(self) -> Iterator[Text]:
        names = [Text(self.table.columns[one].name, style="bold") for one in self.beside]
        yield from self._joined(
            [broken(name, width) for name, width in zip(names, self.widths, strict=True)]
        )
        yield Text("─" * (sum(self.widths) + _GAP * (len(self.widths) - 1)), style="dim")

    def _row(self, row: Sequence[Text]) -> Iterator[Text]:
        yield from self._joined(
            [
                broken(row[column], width)
                if self.table.columns[column].kind == "text"
                else list(row[column].split("\n", allow_blank=True))
                for column, width in zip(self.beside, self.widths, strict=True)
            ]
        )
        for column in self.below:
            if row[column].plain:
                yield from self._named(self.table.columns[column].name, row[column])
        if not self.beside:
            yield Text()

    def _joined(self, cells: Sequence[Sequence[Text]]) -> Iterator[Text]:
        for line in zip_longest(*cells, fillvalue=Text()):
            joined = Text()
            for column, width, cell in zip(self.beside, self.widths, line, strict=True):
                space = " " * (width - cell_len(cell.plain))
                parts = (space, cell) if self.table.columns[column].right else (cell, space)
                gap = " " * _GAP if column != self.beside[0] else ""
                joined.append_text(Text.assemble(gap, *parts))
            joined.rstrip()
            yield joined

    def _named(self, name: str, cell: Text) -> Iterator[Text]:
        """A cell on lines of its own: all of it, whatever its longest word needs."""
        indent = _GAP if self.beside else 0
        text = Text.assemble((f"{name}: ", "dim"), cell)
        for number, line in enumerate(broken(text, self.width - indent, hanging=_GAP)):
            wanted = indent if number == 0 else indent + _GAP
            yield Text.assemble(" " * min(wanted, self.width - cell_len(line.plain)), line)


def _widths(table: Table, columns: Sequence[int], width: int) -> list[int] | None:
    """None where they have not enough room beside each other."""
    least, natural = [], []
    for number in columns:
        column = table.columns[number]
        name = column.name if table.head else ""
        cells = [line for row in table.cells(number) for line in row.plain.split("\n")]
        longest = max(map(cell_len, cells), default=0)
        needed = longest
        if column.kind == "text":
            needed = max(
                [min(longest, _LEAST), *(cell_len(one) for c in cells for one in c.split())]
            )
        least.append(max([needed, *map(cell_len, name.split())]))
        natural.append(max(longest, cell_len(name)))
    spare = width - sum(least) - _GAP * (len(columns) - 1)
    if spare < 0:
        return None
    for one in sorted(range(len(columns)), key=lambda one: natural[one] - least[one]):
        more = min(natural[one] - least[one], spare)
        least[one] += more
        spare -= more
    return least


def broken(text: Text, width: int, *, hanging: int = 0) -> list[Text]:
    """Lines of whole words; a word that is longer than `width` has a line of its own.

    All lines but the first have `hanging` letters less.
    """
    lines: list[Text] = []
    for part in text.split("\n", allow_blank=True):
        start = end = 0
        for word in _WORD.finditer(part.plain):
            room = width - hanging if lines else width
            if end and cell_len(part.plain[start : word.end()]) > room:
                lines.append(part[start:end])
                start = word.start()
            end = word.end()
        lines.append(part[start:end])
    return lines

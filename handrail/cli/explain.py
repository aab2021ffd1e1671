"""A type of saga, explained in a terminal: its way forward and back, and what goes wrong how."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from handrail.sagas.definition import Saga
from handrail.sagas.diagram import HEAD, mermaid, rows, table, tree
from handrail.sagas.explain import explain
from handrail.sagas.saga_type import SagaType

SagaTypes = Mapping[str, SagaType]
"""By name."""


def list_types(console: Console, types: SagaTypes) -> dict[str, Any]:
    listed = Table("type", "what it is for")
    for one in types.values():
        listed.add_row(one.name, one.purpose)
    console.print(listed)
    return {"types": {one.name: one.purpose for one in types.values()}}


def find_type(types: SagaTypes, name: str) -> SagaType | None:
    """None where there is no such type; then stderr says which there are."""
    if name not in types:
        near = difflib.get_close_matches(name, types, n=1, cutoff=0.4)
        meant = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(types)
        print(f"there is no saga type {name}; there are {known}.{meant}", file=sys.stderr)
        return None
    return types[name]


def diagram_of(saga: Saga) -> str:
    """For a Markdown document: the diagram, and the table of the steps."""
    return f"{mermaid(saga)}\n\n{table(saga)}"


def explain_type(console: Console, type_: SagaType, *, as_mermaid: bool) -> dict[str, Any]:
    name, saga = type_.name, type_.example()
    console.print(f"{name}: {type_.purpose}\n", markup=False)
    console.print(mermaid(saga) if as_mermaid else tree(saga), markup=False, soft_wrap=True)
    console.print()
    console.print(_table(saga))
    steps = explain(saga)
    for one in steps:
        words = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
        words.add_column(style="dim", no_wrap=True)
        words.add_row("if it is refused", one.refused)
        words.add_row("if it fails", one.fails)
        words.add_row("without an answer", one.silent)
        words.add_row("if cancelled at it", one.cancelled)
        if one.compensation:
            words.add_row("taken back by", one.compensation)
        console.print(f"\n{one.step}: {one.what}", markup=False, style="bold")
        console.print(words)
    return {
        "type": name,
        "purpose": type_.purpose,
        "mermaid": mermaid(saga),
        "steps": [asdict(one) for one in steps],
    }


def _table(saga: Saga) -> Table:
    table = Table()
    for name in HEAD:
        table.add_column(name, no_wrap=name in {"step", "is taken back by"})
    for row in rows(saga):
        table.add_row(*row)
    return table

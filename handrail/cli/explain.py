"""A type of saga, explained in a terminal: its way forward and back, and what goes wrong how."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console

from handrail.sagas.definition import Saga
from handrail.sagas.diagram import HEAD, mermaid, rows, table, tree
from handrail.sagas.explain import explain
from handrail.sagas.saga_type import SagaType
from handrail.terminal_tables import Column, Table

SagaTypes = Mapping[str, SagaType[Any]]
"""By name."""


def list_types(console: Console, types: SagaTypes) -> dict[str, Any]:
    listed = Table((Column("type"), Column("what it is for", kind="text")))
    for one in types.values():
        listed.add(one.name, one.purpose)
    listed.print(console)
    return {"types": {one.name: one.purpose for one in types.values()}}


def find_type(types: SagaTypes, name: str) -> SagaType[Any] | None:
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


def explain_type(console: Console, type_: SagaType[Any], *, as_mermaid: bool) -> dict[str, Any]:
    name, saga = type_.name, type_.example()
    console.print(f"{name}: {type_.purpose}\n", markup=False)
    console.print(mermaid(saga) if as_mermaid else tree(saga), markup=False, soft_wrap=True)
    console.print()
    _table(saga).print(console)
    steps = explain(saga)
    for one in steps:
        words = Table((Column("when"), Column("what happens", kind="text")), head=False)
        words.add("  if it is refused", one.refused)
        words.add("  if it fails", one.fails)
        words.add("  without an answer", one.silent)
        words.add("  if cancelled at it", one.cancelled)
        if one.compensation:
            words.add("  taken back by", one.compensation)
        console.print(f"\n{one.step}: {one.what}", markup=False, style="bold")
        words.print(console)
    return {
        "type": name,
        "purpose": type_.purpose,
        "mermaid": mermaid(saga),
        "steps": [asdict(one) for one in steps],
    }


def _table(saga: Saga) -> Table:
    """What becomes of each step is in the words below it, too, so that these columns may go."""
    step, kind, undo, refused, unknown = HEAD
    table = Table(
        (
            Column(step),
            Column(kind, rank=1),
            Column(undo),
            Column(refused, kind="text", rank=2),
            Column(unknown, kind="text", rank=3),
        )
    )
    for row in rows(saga):
        table.add(*row)
    return table

"""Sagas, and what became of those that were told something, as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from handrail.currencies import written

_COLOURS: Final = {"accepted": "green", "refused": "yellow", "unreachable": "red"}


def show_sagas(console: Console, sagas: Sequence[Mapping[str, Any]]) -> None:
    table = _table("saga", "type", "status", "step", "for", "at stake", "cause")
    for one in sagas:
        since = one["parked_since"] or one["started_at"]
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
        standing = (one["saga"], one["saga_type"], one["status"], one["step"])
        _add(table, *standing, long(seconds), money(one["at_stake"]), one["cause"])
    console.print(table)
    console.print(f"{len(sagas)} sagas")


def show_saga(console: Console, saga: Mapping[str, Any]) -> None:
    stands = f"{saga['saga']}: {saga['saga_type']}, {saga['status']}, attempt {saga['attempt']}"
    console.print(f"{stands}, {money(saga['at_stake']) or 'nothing'} at stake", markup=False)
    for one in saga["waiting"]:
        until = f", until {one['until']}" if one["until"] else ""
        said = f"{one['step']} ({one['direction']}) is {one['kind']} since {one['since']}{until}"
        console.print(f"  {said} {one['cause']}", markup=False)
    table = _table("at", "what", "step", "outcome", "who", "why")
    for entry in saga["timeline"]:
        why = " · ".join(
            str(entry[name])
            for name in ("cause", "reason", "evidence", "correction")
            if entry[name]
        )
        what = (entry["what"], entry["step"], entry["outcome"], entry["actor"], why)
        _add(table, entry["at"][11:19], *(one or "" for one in what))
    console.print(table)


def show_dry_run(console: Console, found: Mapping[str, Any]) -> None:
    table = _table("saga", "type", "step", "for", "at stake", "cause")
    for one in found["sagas"]:
        named = (one["saga"], one["saga_type"], one["step"], long(one["seconds"]))
        _add(table, *named, money(one["at_stake"]), one["cause"])
    console.print(table)
    stakes = ", ".join(map(money, found["at_stake"])) or "nothing"
    console.print(f"{found['count']} sagas would be told; {stakes} at stake")


def show_items(console: Console, items: Sequence[Mapping[str, Any]]) -> None:
    table = _table("saga", "step", "result", "said")
    for one in items:
        result = Text(one["status"], style=_COLOURS[one["status"]])
        _add(table, one["saga"], one["step"], result, one["said"])
    console.print(table)
    counts = Counter(one["status"] for one in items)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    console.print(told or "no saga was meant")


def _table(*names: str) -> Table:
    """What somebody copies is not cut short, however narrow the terminal is."""
    table = Table()
    for name in names:
        table.add_column(name, no_wrap=name in {"saga", "step"}, overflow="fold")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    """Texts as they are: what other companies say may look like markup."""
    table.add_row(*(Text(one) if isinstance(one, str) else one for one in cells))


def money(amount: Mapping[str, Any] | None) -> str:
    if amount is None:
        return ""
    return written(amount["amount"], amount["currency"])


def long(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"

"""Sagas, and what became of those that were told something, as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from handrail.counted import counted
from handrail.currencies import written
from handrail.terminal_tables import Column, Table

_COLOURS: Final = {"accepted": "green", "refused": "yellow", "unreachable": "red"}


def show_sagas(console: Console, sagas: Sequence[Mapping[str, Any]]) -> None:
    table = Table(
        (
            Column("saga"),
            Column("type", rank=3),
            Column("status"),
            Column("step"),
            Column("for", rank=1, right=True),
            Column("at stake", rank=2, right=True),
            Column("cause", kind="text"),
        )
    )
    for one in sagas:
        since = one["parked_since"] or one["started_at"]
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
        standing = (one["saga"], one["saga_type"], one["status"], one["step"] or "")
        table.add(*standing, long(seconds), money(one["at_stake"]), one["cause"])
    table.print(console)
    console.print(counted(len(sagas), "saga"))


def show_saga(console: Console, saga: Mapping[str, Any]) -> None:
    stands = f"{saga['saga']}: {saga['saga_type']}, {saga['status']}, attempt {saga['attempt']}"
    console.print(f"{stands}, {money(saga['at_stake']) or 'nothing'} at stake", markup=False)
    for one in saga["waiting"]:
        until = f", until {one['until']}" if one["until"] else ""
        said = f"{one['step']} ({one['direction']}) is {one['kind']} since {one['since']}{until}"
        console.print(f"  {said} {one['cause']}", markup=False)
    table = Table(
        (
            Column("at", rank=1),
            Column("what"),
            Column("step"),
            Column("outcome"),
            Column("who", rank=2),
            Column("why", kind="text"),
        )
    )
    for entry in saga["timeline"]:
        why = " · ".join(
            str(entry[name])
            for name in ("cause", "reason", "evidence", "correction")
            if entry[name]
        )
        what = (entry["what"], entry["step"], entry["outcome"], entry["actor"], why)
        table.add(entry["at"][11:19], *(one or "" for one in what))
    table.print(console)


def show_dry_run(console: Console, found: Mapping[str, Any]) -> None:
    table = Table(
        (
            Column("saga"),
            Column("type", rank=3),
            Column("step"),
            Column("for", rank=1, right=True),
            Column("at stake", rank=2, right=True),
            Column("cause", kind="text"),
        )
    )
    for one in found["sagas"]:
        named = (one["saga"], one["saga_type"], one["step"], long(one["seconds"]))
        table.add(*named, money(one["at_stake"]), one["cause"])
    table.print(console)
    stakes = ", ".join(map(money, found["at_stake"])) or "nothing"
    console.print(f"{counted(found['count'], 'saga')} would be told; {stakes} at stake")


def show_items(console: Console, items: Sequence[Mapping[str, Any]]) -> None:
    table = Table((Column("saga"), Column("step"), Column("result"), Column("said", kind="text")))
    for one in items:
        result = Text(one["status"], style=_COLOURS[one["status"]])
        table.add(one["saga"], one["step"], result, one["said"])
    table.print(console)
    counts = Counter(one["status"] for one in items)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    console.print(told or "no saga was meant")


def money(amount: Mapping[str, Any] | None) -> str:
    if amount is None:
        return ""
    return written(amount["amount"], amount["currency"])


def long(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"

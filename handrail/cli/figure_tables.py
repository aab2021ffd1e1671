"""The figures of sagas as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from handrail.cli.saga_tables import long
from handrail.terminal_tables import Column, Table

_ENDINGS: Final = ("completed", "refused", "compensated")
_OUTCOMES: Final = ("done", "refused", "failed", "unknown", "compensated")
_TIMED: Final = {
    "decision": "decided",
    "completion": "completed",
    "compensation": "taken back",
}


def show_figures(console: Console, types: Sequence[Mapping[str, Any]]) -> None:
    for table in (_sagas(types), _steps(types), _durations(types)):
        table.print(console)
        console.print()
    for line in _remarks(types):
        console.print(line, markup=False)


def _sagas(types: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("type", "started", "completed", "refused", "taken back", "going on", "parked")
    for one in types:
        ended = [one["ended"].get(ending, 0) for ending in _ENDINGS]
        going_on = one["started"] - sum(ended)
        counts = (one["started"], *ended, going_on, one["parked"])
        table.add(one["saga_type"], *map(str, counts))
    return table


def _steps(types: Sequence[Mapping[str, Any]]) -> Table:
    names = ("done", "refused", "failed", "unknown", "undone", "parked", "now")
    table = _table("step", *names)
    for one in types:
        table.section(one["saga_type"])
        for step in one["steps"]:
            counts = [step[name] for name in (*_OUTCOMES, "parked", "parked_now")]
            table.add(step["step"], *map(str, counts))
    return table


def _durations(types: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("type", "how long until", "sagas", "half within", "19 in 20 within")
    for one in types:
        for name, said in _TIMED.items():
            if took := one[name]:
                within = (_short(took["p50"]), _short(took["p95"]))
                table.add(one["saga_type"], said, str(took["count"]), *within)
    return table


def _remarks(types: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in types:
        for name, said in (("turned_back", "turned back by"), ("interventions", "put right by")):
            if counts := one[name]:
                by = ", ".join(f"{what} ({count})" for what, count in counts.items())
                yield f"{one['saga_type']}: {said} {by}"
        if (oldest := one["oldest_parked_seconds"]) is not None:
            yield f"{one['saga_type']}: the first that is parked has waited for {long(oldest)}"


def _table(name: str, *names: str) -> Table:
    """The last ones are the first that a narrow terminal does without."""
    figures = (Column(one, rank=rank, right=True) for rank, one in enumerate(names, 1))
    return Table((Column(name), *figures))


def _short(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 1 else long(seconds)

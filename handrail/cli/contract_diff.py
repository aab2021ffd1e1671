"""`handrail contracts diff`: whether what changed between two revisions breaks a reader."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from handrail.counted import counted
from handrail.messaging.contracts.diff import EventDiff, Verdict, differences, less_than
from handrail.messaging.contracts.revisions import NoContracts, Revision, revision
from handrail.terminal_tables import Column, Table, terminal

NOTHING_TO_COMPARE: Final = 2
"""The exit code where one of the two cannot be read."""


def diff(
    old: str,
    new: str,
    folder: Path,
    demanded: Verdict,
    apart: Collection[str],
    *,
    json: bool,
    wide: bool = False,
) -> int:
    """1 where an event is less compatible than demanded."""
    console = terminal(json=json, wide=wide)
    try:
        before, after = revision(old, folder), revision(new, folder)
        found = differences(before, after)
    except (NoContracts, ValueError) as error:
        print(error, file=sys.stderr)
        return NOTHING_TO_COMPARE
    if unknown := set(apart) - {one.event for one in found}:
        print(
            f"--except names no event that changed: {', '.join(sorted(unknown))}", file=sys.stderr
        )
        return NOTHING_TO_COMPARE
    less = less_than(demanded, found, apart)
    if found:
        table_of(found).print(console)
    else:
        console.print(f"no event differs between {old} and {new}")
    if not before.knows_readers:
        console.print(f"{old} does not say which read models and lake views it had")
    if less:
        console.print(
            f"{counted(len(less), 'event')} less than {demanded}: {', '.join(less)}", style="red"
        )
    if json:
        print(orjson.dumps(_as_json(before, after, demanded, found, less)).decode())
    return 1 if less else 0


def table_of(found: Sequence[EventDiff]) -> Table:
    table = Table(
        (
            Column("event"),
            Column("verdict"),
            Column("what changed", kind="text"),
            Column("read by", kind="text"),
        )
    )
    for one in found:
        said = "; ".join(change.said for change in one.changes)
        if one.conversion:
            said = f"{said} ({one.conversion})"
        table.add(one.event, str(one.verdict), said, _readers(one) or "nothing")
    return table


def _readers(one: EventDiff) -> str:
    readers = one.readers
    said = (
        ("consumers", readers.consumers),
        ("read models", readers.read_models),
        ("lake views", readers.lake_views),
    )
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in said if names)


def _as_json(
    old: Revision,
    new: Revision,
    demanded: Verdict,
    found: Sequence[EventDiff],
    less: Sequence[str],
) -> dict[str, Any]:
    return {
        "old": old.name,
        "new": new.name,
        "require": None if demanded is Verdict.NONE else demanded,
        "knows_readers": old.knows_readers and new.knows_readers,
        "events": [one.as_json() for one in found],
        "less": less,
    }

"""Shows write levels and what holds them back, and raises them."""

from __future__ import annotations

import sys
from asyncio import sleep
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from handrail.connections import store_pool
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions.heartbeats import Sign, SignsOfLife
from handrail.eventstore.write_levels import (
    DEAD_AFTER,
    Announced,
    Standing,
    raise_levels,
    standing,
)
from handrail.evolution.forms import Form
from handrail.evolution.lineages import allowed_of, readable_of
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

_LOOKS_EVERY: Final = 0.25  # seconds


@dataclass(frozen=True)
class LevelShown:
    """A ladder: what may be written, what could be, and the processes that cannot read that."""

    newest: Form
    written: Form
    since: datetime | None
    raised_by: str
    held_back_by: Sequence[Announced]


def shown(codec: Codec, now: Standing, event: str | None = None) -> Sequence[LevelShown]:
    """Of all messages that have more than one form, or of one, by any of its names: with the event
    that it is a part of, or takes the place of, and is written as until that is raised.
    """
    rows = {one.event: one for one in now.levels}
    names = codec.stored_names(event) if event is not None else frozenset[str]()
    found = []
    for ladder in codec.lineages.ladders:
        if event is not None and names.isdisjoint(form.name for form in ladder):
            continue
        written = allowed_of(ladder, now.rows)
        row = rows.get(written.name)
        found.append(
            LevelShown(
                newest=ladder[-1],
                written=written,
                since=row.raised_at if row and row.version >= written.version else None,
                raised_by=row.raised_by if row and row.version >= written.version else "",
                held_back_by=[
                    one for one in now.processes if readable_of(ladder, one.reads) != ladder[-1]
                ],
            )
        )
    return found


async def show(
    codec: Codec, settings: Settings, event: str | None, *, wide: bool, json: bool
) -> int:
    """0 where every message may be written in its newest form, 1 where one may not yet; 2 where
    there is no message of that name.
    """
    if event is not None and event not in codec.classes.keys() | codec.lineages.readable.keys():
        print(f"there is no event {event}", file=sys.stderr)
        return 2
    async with (
        store_pool(settings, size=1, name="handrail contracts") as pool,
        pool.connection() as connection,
    ):
        now = await standing(connection)
    found = shown(codec, now, event)
    _print(found, json=json, wide=wide)
    if json:
        print(orjson.dumps({"levels": [_plain(one) for one in found]}).decode())
    return int(any(one.written != one.newest for one in found))


async def raise_to(codec: Codec, settings: Settings, event: str, version: int) -> int:
    """0 once the version may be written; 1 where a live process cannot read it, or there is none.

    A process that gave no sign of life is watched for as long as it takes to know that it is dead.
    """
    ladder = next((one for one in codec.lineages.ladders if Form(event, version) in one[1:]), None)
    if ladder is None:
        known = [str(form) for one in codec.lineages.ladders for form in one[1:]]
        there = ", ".join(known) or "none"
        print(
            f"{event} has no version {version} to be raised to: there are {there}", file=sys.stderr
        )
        return 1
    to = Form(event, version)
    async with (
        store_pool(settings, size=1, name="handrail contracts") as pool,
        pool.connection() as connection,
    ):
        return await _raise(connection, codec, ladder, to)


async def _raise(connection: Connection, codec: Codec, ladder: Sequence[Form], to: Form) -> int:
    signs: SignsOfLife[str] = SignsOfLife()
    first: dict[str, datetime] = {}
    while True:
        now = await standing(connection)
        if ladder.index(allowed_of(ladder, now.rows)) >= ladder.index(to):
            print(f"{to} may be written")
            return 0
        silent = signs.silent({one.process: Sign(one.seen_at, DEAD_AFTER) for one in now.processes})
        holders = [one for one in now.processes if not _reads(ladder, to, one)]
        for one in holders:
            if first.setdefault(one.process, one.seen_at) != one.seen_at:
                print(f"{to} cannot be read by {one}: stop it, or wait for it", file=sys.stderr)
                return 1
        if all(one.process in silent for one in holders):
            gone = {one.process: one.seen_at for one in now.processes if one.process in silent}
            wanted = {ladder[0]: to}
            await raise_levels(connection, codec.lineages, wanted, silent=gone, by="an operator")
        await sleep(_LOOKS_EVERY)


def _reads(ladder: Sequence[Form], form: Form, process: Announced) -> bool:
    return ladder.index(readable_of(ladder, process.reads)) >= ladder.index(form)


def table_of_levels(found: Sequence[LevelShown]) -> Table:
    """What may be written of each message, and which processes hold back a newer form."""
    table = Table(
        (
            Column("newest"),
            Column("written"),
            Column("since", rank=1),
            Column("raised by", rank=2),
            Column("held back by", kind="text"),
        )
    )
    for one in found:
        since = f"{one.since:%F %T}" if one.since else ""
        held = ", ".join(map(str, one.held_back_by))
        table.add(str(one.newest), str(one.written), since, one.raised_by, held)
    return table


def _print(found: Sequence[LevelShown], *, json: bool, wide: bool) -> None:
    console = terminal(json=json, wide=wide)
    if not found:
        console.print("no event has more than one form")
        return
    table_of_levels(found).print(console)
    if any(one.written != one.newest for one in found):
        console.print(
            "A newer form is written once all live processes can read it: by itself, or with"
            " `handrail contracts level EVENT --to N`. It cannot be taken back."
        )


def _plain(one: LevelShown) -> dict[str, object]:
    return {
        "event": one.newest.name,
        "newest": one.newest.version,
        "written": {"event": one.written.name, "version": one.written.version},
        "since": one.since,
        "raised_by": one.raised_by,
        "held_back_by": [
            {
                "process": process.process,
                "kind": process.kind,
                "release": process.release,
                "seen_at": process.seen_at,
            }
            for process in one.held_back_by
        ],
    }

"""Two events to a new stream, and to one of twenty, by one writer and by sixteen.

Every append is a transaction of its own. In turns on the same server:

- Handrail does what it does for a step of a saga: it makes the JSON, passes the fence, checks and
  moves the version of the stream, and stores events and outbox rows. Its writers are tasks of one
  process with a connection each.
- A raw INSERT puts the same rows, their JSON ready made, into one table of the same shape,
  prepared, from as many tasks: the limit. It has no fence, no outbox and no versions of streams.
- `eventsourcing` gets its JSON ready made too, for its recorder of applications. That locks the
  table, so that who follows its events misses none. Beside it stands its other way, a function in
  the database, which takes no such lock: its followers can pass over an event that commits late,
  so it does not do the same work. Its writers are threads. It has no fence.

`vs_...` are of sixteen writers, the worse of new and grown streams.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console

from benchmarks.appends import ANSWER, Append
from benchmarks.peers.eventsourcing_library import EventsourcingLibrary
from benchmarks.peers.raw_insert import RawInsert
from benchmarks.processor import cpu_seconds
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from handrail.activities.command_handler import metadata_of
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.migrations import upgrade
from handrail.settings import Settings
from runtime.app import HANDRAIL

WRITERS: Final = (1, 16)
GROWN: Final = 20
"""Events of a stream that is not new."""
APPENDS: Final = {1: 200, 16: 800}
"""In one turn of one side, by the number of writers."""
ROUNDS: Final = 11
"""The first is not counted, and who goes first changes from one to the next."""


class Side(Protocol):
    name: str

    async def write(self, appends: Sequence[Append], writer: int) -> None:
        """All of them, one after the other."""


class Handrail:
    name = "handrail"

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def write(self, appends: Sequence[Append], writer: int) -> None:  # noqa: ARG002
        for append in appends:
            appended = await self._store.append(
                [(append.stream, append.expected, append.events)],
                context=append.context,
                answer=ANSWER,
                metadata=metadata_of(append.context, HANDRAIL.tenant),
            )
            if appended.status != "appended":
                raise RuntimeError(f"{append.stream} at {append.expected} was appended before")


@dataclass(frozen=True)
class Case:
    grown: bool
    writers: int

    def __str__(self) -> str:
        return f"{'grown' if self.grown else 'new'}_{self.writers}"


@dataclass(frozen=True)
class Turn:
    """Of one side in one round; CPU seconds of this process and of the server's."""

    appends: int
    seconds: float
    client: float
    server: float

    @property
    def rate(self) -> float:
        """Appends a second."""
        return self.appends / self.seconds


Turns = Mapping[tuple[str, Case], Sequence[Turn]]


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with EmbeddedPostgres(folder / "postgres") as postgres:
            await asyncio.to_thread(upgrade, postgres.url)
            async with _sides(postgres.url) as sides:
                turns = await _turns(sides, postgres.pid, console)
    return report(_result(turns), settings.data_dir, console, json=json)


@asynccontextmanager
async def _sides(url: str) -> AsyncIterator[Sequence[Side]]:
    most = max(WRITERS)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(url, role="handrail_app", size=most))
        yield [
            Handrail(EventStore(pool, HANDRAIL.codec)),
            await stack.enter_async_context(RawInsert(url, writers=most)),
            *[
                await stack.enter_async_context(
                    EventsourcingLibrary(url, writers=most, unlocked=unlocked)
                )
                for unlocked in (False, True)
            ],
        ]


async def _turns(sides: Sequence[Side], server: int, console: Console) -> Turns:
    cases = [Case(grown, writers) for writers in WRITERS for grown in (False, True)]
    turns: dict[tuple[str, Case], list[Turn]] = defaultdict(list)
    with bar(console) as shown:
        task = shown.add_task("appending", total=ROUNDS * len(cases))
        for number in range(ROUNDS):
            for case in cases:
                shown.update(task, description=f"appending, {str(case).replace('_', ', ')}")
                for turn in range(len(sides)):
                    side = sides[(turn + number) % len(sides)]
                    measured = await _turn(side, case, f"{number}-{case}", server)
                    if number:
                        turns[side.name, case].append(measured)
                shown.advance(task)
    return turns


async def _turn(side: Side, case: Case, name: str, server: int) -> Turn:
    numbers = [f"{name}-{number}" for number in range(APPENDS[case.writers])]
    if case.grown:
        await side.write([Append(one, 0, GROWN) for one in numbers], 0)
    appends = [Append(one, GROWN if case.grown else 0) for one in numbers]
    for append in appends:
        _ = append.events, append.context, append.rows
    began, client, serving = time.perf_counter(), time.process_time(), cpu_seconds(server)
    await asyncio.gather(
        *(side.write(appends[writer :: case.writers], writer) for writer in range(case.writers))
    )
    return Turn(
        len(appends),
        time.perf_counter() - began,
        time.process_time() - client,
        cpu_seconds(server) - serving,
    )


def _result(turns: Turns) -> Result:
    many = [Case(grown, max(WRITERS)) for grown in (False, True)]

    def against(peer: str) -> float:
        """The median of the rounds: within one, both met the same machine."""
        return round(
            min(
                statistics.median(
                    ours.rate / theirs.rate
                    for ours, theirs in zip(turns["handrail", case], turns[peer, case], strict=True)
                )
                for case in many
            ),
            2,
        )

    figures = {}
    for (side, case), measured in sorted(turns.items(), key=str):
        name = f"{side.replace(' ', '_')}_{case}"
        figures[f"{name}_appends_per_s"] = round(statistics.median(turn.rate for turn in measured))
        for part in ("client", "server"):
            spent = statistics.median(getattr(turn, part) / turn.appends for turn in measured)
            figures[f"{name}_{part}_cpu_ms"] = round(spent * 1000, 3)
    return Result(
        "append",
        figures,
        {
            "vs_raw_insert": against("raw insert"),
            "vs_eventsourcing": against("eventsourcing"),
            "vs_eventsourcing_unlocked": against("eventsourcing unlocked"),
        },
        {
            "rounds": ROUNDS - 1,
            "appends_per_turn": {str(writers): count for writers, count in APPENDS.items()},
            "events_per_append": 2,
            "grown_stream": GROWN,
            "ratios_of": f"{max(WRITERS)} writers, the worse of new and grown streams",
        },
    )

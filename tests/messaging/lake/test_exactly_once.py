"""Every event is in the lake once, whoever is killed when."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from arro3.core import Table

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from handrail.eventstore.pool import open_pool
from handrail.lake.exporter import Exporter
from handrail.lake.table import Lake
from runtime.app import HANDRAIL
from tests.controls import NOON
from tests.messaging.lake.place import Place
from tests.projections.stories import Shop
from tests.projections.world import until

only_on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT TESTED: only Linux kills at a system call"
)


async def a_shop(place: Place, number: int = 1, orders: int = 3) -> None:
    shop = Shop(number)
    for stream, events in shop.opens():
        await place.append(stream, *events)
    for order in range(orders):
        for stream, events in shop.sells(OrderId(f"order-{number}-{order}")):
            await place.append(stream, *events)


async def test_every_event_is_in_the_lake_once(place: Place) -> None:
    await a_shop(place)
    for day in range(3):
        order = OrderId(f"old-{day}")
        await place.on_record(
            NOON + timedelta(days=day), f"order-{order}", OrderConfirmed(order=order), actor="bob"
        )
    await place.export()
    await place.there_is_everything_once()
    assert place.table().metadata().partition_columns == ["day", "context"]
    days = {f"{NOON + timedelta(days=day):day=%F}" for day in range(3)}
    assert days < {path.parts[-3] for path in place.data_files()}

    await a_shop(place, 2)
    await place.export()
    await place.export()
    await place.there_is_everything_once()


@pytest.mark.thorough
async def test_batches_of_any_size_are_the_same_events(place: Place) -> None:
    await a_shop(place)
    await place.export(limit=7)
    await a_shop(place, 2)
    await place.export(limit=5)
    await place.there_is_everything_once()
    [(batches, most)] = await place.rows("SELECT count(*), max(events) FROM lake_batches")
    assert batches > 10
    assert most == 7


@pytest.mark.thorough
async def test_what_commits_late_is_neither_missed_nor_taken_twice(place: Place) -> None:
    await a_shop(place)
    async with place.pool.connection() as connection, connection.transaction():
        await connection.execute(
            """SELECT append_events(
                '[{"name": "order-late", "shard": 1, "expected": null, "added": 1}]',
                '[{"of": 0, "nth": 1, "type": "OrderConfirmed", "schema": 1,
                   "data": {"order": "late"}}]', '{}', NULL)"""
        )
        await a_shop(place, 2)
        await place.export(limit=20)
        late = "SELECT count(*) FROM events WHERE stream = 'order-late'"
        assert place.ask(late) == [(0,)]
        assert len(place.ask("FROM events")) > 50
    await place.export(limit=20)
    assert place.ask(late) == [(1,)]
    await place.there_is_everything_once()


@pytest.mark.thorough
@only_on_linux
async def test_killed_between_the_data_files_and_the_commit(place: Place) -> None:
    await a_shop(place)
    await place.export()
    await a_shop(place, 2)
    version, files = place.table().version(), place.data_files()
    killed = await place.process("export", "--once", killer="commit")
    code, said = await place.ended(killed)
    assert (code, "Traceback" in said) == (-signal.SIGSYS, False)
    assert place.data_files() > files, "the data files were written"
    assert place.table().version() == version, "and not committed"
    assert await place.rows(UNSETTLED) == [(1,)]
    await a_shop(place, 3)

    await place.lease_is_over()
    code, said = await place.ended(await place.process("export", "--once"))
    assert code == 0
    [last_two] = await place.rows(LAST_TWO)
    assert EXPORTED.format(*last_two, folder=place.folder) in said

    await place.there_is_everything_once()
    assert await place.rows(UNSETTLED) == [(0,)]


UNSETTLED = "SELECT count(*) FROM lake_batches WHERE settled_at IS NULL"
LAST_TWO = (
    "SELECT sum(events), count(*) FROM"
    " (SELECT events FROM lake_batches ORDER BY batch DESC LIMIT 2) AS b"
)
EXPORTED = "{} events in {} batches went to {folder}\n"


@pytest.mark.thorough
async def test_killed_after_the_commit_and_before_the_checkpoint(place: Place) -> None:
    await a_shop(place)
    await place.export()
    await a_shop(place, 2)
    version = place.table().version()
    await place.sql.execute(
        "CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END$$"
    )
    await place.sql.execute(
        "CREATE TRIGGER gate BEFORE UPDATE ON lake_batches"
        " FOR EACH ROW EXECUTE FUNCTION wait_at_the_gate()"
    )
    await place.sql.execute("SELECT pg_advisory_lock(7)")
    process = await place.process("export", "--once")

    async def stands_at_the_gate() -> bool:
        return await place.rows(WAITING) == [(1,)]

    await until(stands_at_the_gate, what="it is about to note the batch")
    process.kill()
    assert (await place.ended(process))[0] == -signal.SIGKILL
    assert place.table().version() == version + 1, "the batch is in the log"
    assert await place.rows(UNSETTLED) == [(1,)], "and the store does not know it"
    files = place.data_files()
    await place.sql.execute("SELECT pg_advisory_unlock(7)")

    await place.lease_is_over()
    assert (await place.ended(await place.process("export", "--once")))[0] == 0

    assert await place.rows(UNSETTLED) == [(0,)]
    assert place.data_files() == files, "it was not written again"
    await place.there_is_everything_once()


WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class Gate(Lake):
    """A lake whose writer stands still before or after it has looked whether the batch is there."""

    def __init__(self, folder: Path, *, at: str) -> None:
        super().__init__(folder, HANDRAIL.tenant)
        self._at = at
        self.reached, self.opened = threading.Event(), threading.Event()

    def last_batch(self) -> int:
        found = super().last_batch()
        if self._at == "looked" and self.reached_once():
            self.wait()
        return found

    def write(self, batch: int, rows: Table) -> int:
        self._writing = True
        if self._at == "before":
            self.wait()
        return super().write(batch, rows)

    _writing = False

    def reached_once(self) -> bool:
        return self._writing and not self.reached.is_set()

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(20)


@pytest.mark.quick(1)
@pytest.mark.parametrize("at", ["before", "looked"])
async def test_who_was_thought_dead_and_wakes_up_writes_nothing_twice(
    at: str, place: Place
) -> None:
    await a_shop(place)
    gate = Gate(place.folder, at=at)
    stop = asyncio.Event()
    sleeper = asyncio.create_task(place.exporter(gate).run(stop))
    await until(lambda: _set(gate.reached), what="it is about to write")
    await place.sql.execute(
        "UPDATE checkpoints SET owner = 'nobody', leased_until = now() - '1 s'::interval"
    )

    await place.export()
    await a_shop(place, 2)
    await place.export()
    await place.there_is_everything_once()
    gate.opened.set()
    stop.set()
    await sleeper

    await place.there_is_everything_once()
    assert await place.rows(UNSETTLED) == [(0,)]


async def _set(event: threading.Event) -> bool:
    return event.is_set()


@pytest.mark.thorough
async def test_one_exports_while_others_stand_by_and_take_over(place: Place) -> None:
    stops = [asyncio.Event(), asyncio.Event()]
    exporters = [place.exporter(lease=1.0), place.exporter(lease=1.0)]
    running = [
        asyncio.create_task(exporter.run(stop))
        for exporter, stop in zip(exporters, stops, strict=True)
    ]
    await asyncio.gather(*(exporter.working.wait() for exporter in exporters))
    await a_shop(place)
    await until(lambda: _exported(place))
    assert sorted(exporter.figures.on_turn for exporter in exporters) == [False, True]
    first = next(n for n, exporter in enumerate(exporters) if exporter.figures.on_turn)
    stops[first].set()
    await running[first]
    await a_shop(place, 2)
    await until(lambda: _exported(place))

    async def has_counted() -> bool:
        return exporters[1 - first].figures.events > 0

    assert exporters[1 - first].figures.on_turn
    await until(has_counted)  # the batch is settled a moment before
    stops[1 - first].set()
    await running[1 - first]
    await place.there_is_everything_once()
    assert await place.rows("SELECT count(*) FROM checkpoints WHERE owner IS NOT NULL") == [(0,)]


async def _exported(place: Place) -> bool:
    return await place.rows(
        "SELECT (SELECT count(*) FROM events) = (SELECT coalesce(sum(events), 0) FROM lake_batches)"
        " AND NOT EXISTS (SELECT FROM lake_batches WHERE settled_at IS NULL)"
    ) == [(True,)]


@pytest.mark.journey
@only_on_linux
async def test_killed_again_and_again_while_others_append(place: Place) -> None:
    place.lake()
    done = asyncio.Event()

    async def appends() -> int:
        number = 0
        while not done.is_set():
            number += 1
            await a_shop(place, number, orders=2)
        return number

    async def has_cut() -> bool:
        return await place.rows(BATCHES) > batches

    async def has_committed() -> bool:
        return place.table().version() > version

    appending = asyncio.create_task(appends())
    try:
        for kill in range(24):
            batches, version = await place.rows(BATCHES), place.table().version()
            await place.lease_is_over()
            process = await place.process("export", killer="" if kill % 3 else "commit")
            if kill % 3:
                await until(has_cut if kill % 3 == 1 else has_committed, seconds=30)
                process.kill()
            assert (await place.ended(process))[0] in {-signal.SIGKILL, -signal.SIGSYS}
    finally:
        done.set()
        assert await appending > 1

    await place.lease_is_over()
    assert (await place.ended(await place.process("export", "--once")))[0] == 0
    await place.there_is_everything_once()


BATCHES = "SELECT coalesce(max(batch), 0) FROM lake_batches"


async def _cut_off(place: Place) -> bool:
    """Once it is connected, which it may just be again."""
    return bool(
        await place.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'exporter'"
        )
    )


@pytest.mark.thorough
async def test_it_goes_on_once_the_store_is_back(place: Place) -> None:
    stop = asyncio.Event()
    async with open_pool(place.url, role="handrail_app", size=2, name="exporter") as pool:
        exporter = Exporter(pool, place.lake(), HANDRAIL.routing, every=0.05)
        running = asyncio.create_task(exporter.run(stop))
        await exporter.working.wait()
        for number in (1, 2):
            await a_shop(place, number)
            await until(lambda: _cut_off(place))
        await until(lambda: _exported(place))
        stop.set()
        await running
    await place.there_is_everything_once()

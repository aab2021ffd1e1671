"""The lake over time: other folders, older code, small files, and what killed writers left."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from datetime import timedelta

import httpx
import pytest

from domain.credit.events import LimitAssigned
from domain.identifiers import CustomerId, OrderId
from domain.ordering.events import OrderConfirmed
from handrail.dev.supervisor import free_port
from handrail.eventstore import newer_code_waits
from handrail.eventstore.checkpoints import LostLease
from handrail.eventstore.codec import UnknownMessage
from handrail.lake import batches, leader_lease
from handrail.lake.exporter import Exporter, OtherLake
from handrail.processes.lake_exporter import catch_up, export, forget
from handrail.settings import Settings
from tests.controls import NOON, eur
from tests.messaging.lake.place import Place, columns_without
from tests.messaging.routed import routed
from tests.projections.world import until

NEVER_EXPORTED = "SELECT count(*) FROM checkpoints WHERE projection = 'lake'"


async def an_order(place: Place, name: str) -> None:
    await place.append(f"order-{name}", OrderConfirmed(order=OrderId(name)))


@pytest.mark.thorough
async def test_another_folder_is_not_filled_with_half_of_the_events(place: Place) -> None:
    await an_order(place, "a")
    await place.export()
    await an_order(place, "b")
    place.folder = place.folder.with_name("other")

    with pytest.raises(OtherLake, match="another folder than HANDRAIL_LAKE_DIR"):
        await place.export()
    assert len(place.table().file_uris()) == 0

    code, said = await place.ended(await place.process("export", "--once"))
    assert (code, "handrail lake forget" in said, "Traceback" in said) == (1, True, False)
    settings = Settings(database_url=place.url, lake_dir=place.folder)
    assert await forget(settings, yes=True) == 0
    assert await place.rows(NEVER_EXPORTED) == [(0,)]
    assert await catch_up(settings) == 0
    await place.there_is_everything_once()


async def test_a_lake_is_forgotten_only_when_it_is_meant(place: Place) -> None:
    await an_order(place, "a")
    await place.export()

    code, said = await place.ended(await place.process("forget", "--json"))
    assert code == 1
    assert "Nothing was forgotten. With --yes it is." in said
    assert '{"batches":1,' in said
    assert await place.rows(NEVER_EXPORTED) == [(16,)]

    await place.sql.execute(
        "UPDATE checkpoints SET owner = 'x', lease = '1 hour', leased_until = now() + '1 hour'"
    )
    code, said = await place.ended(await place.process("forget", "--yes"))
    assert (code, "a process exports to the lake: stop it first" in said) == (1, True)
    await place.sql.execute("UPDATE checkpoints SET owner = NULL, leased_until = NULL")

    code, said = await place.ended(await place.process("forget", "--yes"))
    assert (code, "the lake is forgotten" in said) == (0, True)
    assert await place.rows(NEVER_EXPORTED) == [(0,)]


async def test_a_lake_that_was_put_back_is_noticed(place: Place) -> None:
    await an_order(place, "a")
    await place.export()
    shutil.copytree(place.folder, place.folder.with_name("backup"))
    await an_order(place, "b")
    await place.export()
    shutil.rmtree(place.folder)
    place.folder.with_name("backup").rename(place.folder)

    with pytest.raises(OtherLake, match=r"lake is older .* batch 1 is the last in the lake, 2 in"):
        await place.export()


@pytest.mark.thorough
async def test_a_store_that_was_put_back_is_noticed(place: Place) -> None:
    for name in "ab":
        await an_order(place, name)
        await place.export()
    await place.sql.execute("DELETE FROM lake_batches WHERE batch = 2")

    with pytest.raises(OtherLake, match=r"store is older .* batch 2 is the last in the lake, 1 in"):
        await place.export()
    await place.sql.execute("DELETE FROM lake_batches")
    with pytest.raises(OtherLake, match="has 2 batches that this store does not know"):
        await place.export()


async def test_who_lost_the_turn_cuts_no_batch(place: Place) -> None:
    await place.export()
    async with place.pool.connection() as connection:
        lease = timedelta(seconds=5)
        mine = await leader_lease.take(connection, "sleeper", lease)
        assert mine is not None
        await an_order(place, "a")
        await place.lease_is_over()
        await place.export()

        with pytest.raises(LostLease):
            await batches.cut(connection, mine, place.lake().id, lease, 10)
    assert await place.rows("SELECT batch FROM lake_batches") == [(1,)]
    await place.there_is_everything_once()


@pytest.mark.thorough
async def test_a_table_of_older_code_gets_the_new_columns_and_keeps_its_rows(place: Place) -> None:
    older = columns_without("actor", "merchant", "metadata")
    await an_order(place, "a")
    await place.export(lake=place.lake(columns=older), columns=older)
    assert "actor" not in {field.name for field in place.table().schema().fields}
    await an_order(place, "b")

    await place.export()

    found = place.ask("SELECT stream, actor, saga FROM events ORDER BY stream")
    assert found == [("order-a", None, "saga-1"), ("order-b", "ann", "saga-1")]


@pytest.mark.thorough
async def test_small_files_are_made_into_few_and_every_event_stays(place: Place) -> None:
    yesterday = NOON
    for number in range(34):
        await an_order(place, f"today-{number}")
        if number % 5 == 0:
            name = OrderId(f"then-{number}")
            await place.on_record(yesterday, f"order-{name}", OrderConfirmed(order=name))
    exporter = place.exporter(limit=1)
    assert await exporter.catch_up()

    files = [path.split("/")[-3:-1] for path in place.table().file_uris()]
    assert len(files) < 10
    assert files.count([f"day={yesterday:%F}", "context=ordering"]) == 1
    assert place.table().transaction_version("handrail") == 41
    ask = "SELECT count(*), count(DISTINCT position) FROM events"
    assert place.ask(ask) == [(41, 41)]

    version = place.table().version()
    await place.export()
    assert place.table().version() == version, "nothing is tidied twice"


@pytest.mark.thorough
async def test_what_a_killed_writer_left_is_removed_after_seven_days(place: Place) -> None:
    await an_order(place, "a")
    await place.export()
    [kept] = place.data_files()
    left = [kept.with_name(f"part-0000{age}-left.parquet") for age in (6, 8)]
    for path, age in zip(left, (6, 8), strict=True):
        shutil.copy(kept, path)
        then = time.time() - age * 86_400
        os.utime(path, (then, then))

    await place.export()

    assert place.data_files() == {kept, left[0]}


async def test_an_event_of_newer_code_holds_the_lake_and_is_not_left_out(
    place: Place,
) -> None:
    await an_order(place, "a")
    await of_tomorrow(place)
    with pytest.raises(UnknownMessage, match="OfTomorrow"):
        await place.export()
    await an_order(place, "b")

    await place.export(routing=routed(OfTomorrow="ordering"))

    found = place.ask("SELECT stream FROM events ORDER BY position")
    assert found == [("order-a",), ("x-1",), ("order-b",)]


async def test_an_exporter_of_older_code_stands_by_for_a_newer_one(place: Place) -> None:
    await an_order(place, "a")
    await of_tomorrow(place)
    stop = asyncio.Event()
    old = place.exporter(lease=1.0)
    exporting = asyncio.create_task(old.run(stop))
    try:
        await until(lambda: waits(place, ["OfTomorrow"]))
        assert not old.figures.on_turn
        await place.export(routing=routed(OfTomorrow="ordering"), lease=1.0)
        assert await waits(place, [])
        await an_order(place, "b")
        await until(lambda: has(old, 1))
    finally:
        stop.set()
        await exporting

    found = place.ask("SELECT stream FROM events ORDER BY position")
    assert found == [("order-a",), ("x-1",), ("order-b",)]


async def of_tomorrow(place: Place) -> None:
    await place.sql.execute(
        "WITH e AS (INSERT INTO events (stream, version, shard, type, schema, data, metadata)"
        " VALUES ('x-1', 1, 0, 'OfTomorrow', 1, '{}', '{}') RETURNING position, txid, shard)"
        "INSERT INTO outbox SELECT position, txid, shard FROM e"
    )


async def waits(place: Place, types: list[str]) -> bool:
    async with place.pool.connection() as connection:
        found = await newer_code_waits.waiting(connection, ["lake"])
    return [one.type for one in found] == types


async def has(exporter: Exporter, batches_: int) -> bool:
    return exporter.figures.batches == batches_


@pytest.mark.thorough
async def test_whose_data_name_a_merchant_is_found_by_it(place: Place) -> None:
    limit, none = eur(1_000_00), eur(0)
    assigned = LimitAssigned(customer=CustomerId("c"), limit=limit, held=none, used=none)
    await place.on_record(NOON, "credit-c", assigned, merchant="m-1", step="AssignLimit")
    await place.export()

    assert place.ask("SELECT merchant, step, context FROM events") == [
        ("m-1", "AssignLimit", "credit")
    ]


@pytest.mark.thorough
async def test_the_process_says_that_it_is_ready_serves_its_figures_and_leaves(
    place: Place,
) -> None:
    port, stop = free_port(), asyncio.Event()
    ready = place.folder.with_name("ready")
    settings = Settings(
        database_url=place.url,
        lake_dir=place.folder,
        lake_seconds=0.05,
        metrics_port=port,
        ready_file=ready,
    )
    await an_order(place, "a")
    process = asyncio.create_task(export(settings, stop))

    async def is_ready() -> bool:
        return ready.exists()

    await until(is_ready)
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    stop.set()
    await process

    figures = dict(line.split() for line in told.splitlines() if line.startswith("handrail"))
    assert figures == {
        "handrail_lake_events_exported": "1.0",
        "handrail_lake_batches_exported": "1.0",
        "handrail_lake_last_batch": "1.0",
        "handrail_lake_on_turn": "1.0",
    }
    await place.there_is_everything_once()
    assert await place.rows("SELECT count(*) FROM checkpoints WHERE owner IS NOT NULL") == [(0,)]

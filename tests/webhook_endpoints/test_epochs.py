"""A receiver gets every event of a store that was lost in part: no id stands for two events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from handrail.eventstore.pool import open_pool
from handrail.restore.findings import around_the_events
from handrail.webhook_endpoints.message import message_id
from tests.projections.world import until
from tests.servers.postgres import (
    a_server,
    a_standby,
    cut_off,
    dump,
    fail_over,
    migrated,
    restore,
    sql,
    whoever_writes,
)
from tests.webhook_endpoints.conftest import (
    CONFIRMED,
    World,
    a_world,
    confirmed,
    eventually_got,
)
from tests.webhook_endpoints.receiver import Receiver, receiving

pytestmark = pytest.mark.thorough

ADOPT = "SELECT adopt_store('the tests say so', 'tests')"
DATA = "SELECT stream, version, data FROM events WHERE type = 'OrderConfirmed' ORDER BY position"


def kept_by(receiver: Receiver) -> list[tuple[str, int, Any]]:
    """What a receiver has that keeps the ids it has handled, as the page for developers says."""
    ids: set[str] = set()
    found = []
    for one in receiver.got:
        if one["id"] not in ids:
            ids.add(one["id"])
            event = one["event"]
            found.append((event["stream"], event["streamversion"], event["data"]))
    return found


async def test_an_event_that_takes_the_place_of_a_lost_one_is_none_that_the_receiver_has(
    tmp_path: Path, key_file: Path
) -> None:
    """The lost event was delivered, and another is still on its way when the server is lost."""
    on_its_way, goes_on = asyncio.Event(), asyncio.Event()

    async def answer(message: dict[str, Any]) -> web.Response:
        if message["event"]["data"]["order"] == "on its way":
            on_its_way.set()
            await goes_on.wait()
        return web.Response(status=204)

    async with (
        a_server(tmp_path / "primary") as primary,
        receiving() as receiver,
    ):
        await migrated(primary)
        async with a_standby(primary, tmp_path / "standby") as standby:
            url = whoever_writes(primary, standby)
            async with a_world(primary.url, key_file) as world:
                made = await world.register("m-1", receiver)
                await world.append("m-1", "order-1", confirmed("before"))
                async with world.dispatching():
                    await eventually_got(receiver, 1)
                    await until(lambda: is_over_there(standby.url, "delivered"))
                    await cut_off(standby)
                    await world.append("m-1", "order-1", confirmed("lost"))
                    await eventually_got(receiver, 2)
            receiver.answer = answer
            async with a_world(url, key_file) as world, world.dispatching():
                await world.append("m-1", "order-2", confirmed("on its way"))
                await asyncio.wait_for(on_its_way.wait(), 15)
                await fail_over(primary, standby)
                await sql(standby.url, ADOPT)
                async with a_world(standby.url, key_file) as after:
                    await after.append("m-1", "order-1", confirmed("after"))
                    await after.append("m-1", "order-2", confirmed("after"))
                    await until(lambda: are_fanned_out(after, 3), seconds=30)
                    goes_on.set()
                    await until(after.is_settled, seconds=60)
                    assert await after.states(made.endpoint) == ["delivered"] * 3
                    stored = await after.sql(DATA)

    kept = kept_by(receiver)
    assert [one for one in stored if one not in kept] == []
    assert [data["order"] for _, _, data in stored] == ["before", "after", "after"]
    assert {data["order"] for _, _, data in kept} == {"before", "lost", "on its way", "after"}


async def is_over_there(url: str, state: str) -> bool:
    return await sql(url, "SELECT state FROM webhook_deliveries") == [(state,)]


async def are_fanned_out(world: World, count: int) -> bool:
    return bool(await world.value("SELECT count(*) = %s FROM webhook_deliveries", count))


async def test_a_restored_dump_sends_on_from_where_it_was_under_the_ids_that_it_had(
    tmp_path: Path, key_file: Path
) -> None:
    async with receiving() as receiver:
        async with a_server(tmp_path / "old") as old:
            await migrated(old)
            async with a_world(old.url, key_file) as world:
                await world.register("m-1", receiver)
                await world.append("m-1", "order-1", confirmed("sent after the dump"))
                await world.fan_out()
                await world.append("m-1", "order-1", confirmed("not fanned out"))
                dumped = await dump(old, tmp_path / "handrail.dump")
                async with world.dispatching():
                    await eventually_got(receiver, 2)
        async with a_server(tmp_path / "new") as new:
            await restore(dumped, new)
            await sql(new.url, ADOPT)
            async with a_world(new.url, key_file) as world, world.dispatching():
                await world.append("m-1", "order-1", confirmed("after"))
                await eventually_got(receiver, 5)
                await until(world.is_settled)
                stored = await world.sql(DATA)

    assert kept_by(receiver) == stored, "what came twice came under the same id"
    assert [one["event"]["streamversion"] for one in receiver.got] == [1, 2, 1, 2, 3]


async def test_an_event_of_the_first_epoch_keeps_its_id_whenever_it_is_read(world: World) -> None:
    """Receivers have the ids of what they handled before there was a later epoch."""
    async with receiving() as receiver:
        await world.register("m-1", receiver)
        await world.append("m-1", "order-1", confirmed("1"))
        for _ in range(2):
            await world.sql(ADOPT)
            await world.append("m-1", "order-1", confirmed("1"))
        await world.fan_out()
    found = await world.sql("SELECT version, position, id FROM webhook_deliveries ORDER BY version")
    assert [id_ for _, _, id_ in found] == [
        message_id("order-1", version, CONFIRMED, position=position if version > 1 else None)
        for version, position, _ in found
    ]


async def test_a_delivery_of_an_event_that_the_store_does_not_have_is_found(world: World) -> None:
    async with receiving() as receiver:
        made = await world.register("m-1", receiver)
        await world.append("m-1", "order-1", confirmed("1"))
        await world.fan_out()
        await world.sql("UPDATE webhook_deliveries SET position = position + 1")
    async with open_pool(world.url, size=1) as pool, pool.connection() as connection:
        found = await around_the_events(connection)
        await world.sql("DROP TABLE webhook_deliveries")
        earlier = await around_the_events(connection)
    [(of, said)] = [(one.of, one.said) for one in found]
    position = await world.value("SELECT max(position) + 1 FROM events")
    assert (of, said) == (
        "webhook_deliveries",
        f"{made.endpoint.id} is to get order-1/1, which is not in the store at position {position}",
    )
    assert earlier == [], "a release before did not have the table"

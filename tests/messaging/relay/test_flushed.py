"""What the relay has published is in the store, whatever a server that crashes forgets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION
from handrail.messaging.relay.publisher import Message, Publisher
from runtime.app import HANDRAIL
from tests.eventstore.interleaving import store_over
from tests.messaging.relay.world import HOME, World, a_world, held
from tests.servers.postgres import a_server, a_standby, configure, migrated, until, value

UNFLUSHED = "SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()"


class Deadly(Publisher):
    """The server crashes as soon as the broker has confirmed something."""

    def __init__(self, url: str, server: EmbeddedPostgres) -> None:
        super().__init__(url, HOME)
        self._server = server

    async def publish(self, exchange: str, message: Message) -> str:
        cause = await super().publish(exchange, message)
        await self._server.kill()
        return cause


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with a_server(tmp_path / "server") as one:
        await migrated(one)
        yield one


@pytest.fixture
async def world(server: EmbeddedPostgres, broker: Any) -> AsyncIterator[World]:
    async with (
        open_pool(server.url, role="handrail_app", size=4) as pool,
        a_world(server.url, pool, broker.url, broker.management_url) as one,
    ):
        yield one


def the_log_writer_stops(server: EmbeddedPostgres) -> None:
    """Nothing is flushed any more but by who waits for it."""
    for child in psutil.Process(server.pid).children():
        if "walwriter" in " ".join(child.cmdline()):
            child.suspend()
            return
    raise AssertionError("there is no WAL writer")


async def append_without_waiting(
    world: World, stream: str, number: str, synchronous_commit: str = "off"
) -> None:
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as hasty:
        await hasty.execute(f"SET synchronous_commit = {synchronous_commit}")
        await store_over(hasty, HANDRAIL.codec).append(
            [(stream, ANY_VERSION, [held("ann", number)])]
        )


async def test_an_event_that_the_server_could_still_forget_is_flushed_before_it_is_published(
    world: World, server: EmbeddedPostgres, broker: Any
) -> None:
    async with Deadly(broker.url, server) as deadly:
        follower = world.follower(deadly, lease=600)
        with contextlib.suppress(psycopg.OperationalError):
            async with world.pool.connection() as connection:
                await follower.tick(connection)  # its leases are renewed, and for long enough
                the_log_writer_stops(server)
                await append_without_waiting(world, "credit-ann", "1")
                assert await value(server.url, UNFLUSHED), "it was flushed too early to matter"
                await follower.tick(connection)
    assert not server.running
    await server.start()

    published = [one.id for one in await world.broker.read("money")]
    stored = await value(server.url, "SELECT array_agg(stream || '/' || version) FROM events")
    assert published == stored == ["credit-ann/1"]


IS_WAITED_FOR = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = {pid}"
)


@pytest.mark.thorough
async def test_an_event_that_no_standby_has_confirmed_is_published_once_one_has(
    world: World, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with (
        a_standby(server, tmp_path / "standby") as standby,
        world.pool.connection() as connection,
    ):
        await configure(server, synchronous_standby_names="*")
        follower = world.follower(lease=600)
        await follower.tick(connection)
        family = [psutil.Process(standby.pid), *psutil.Process(standby.pid).children()]
        for one in family:
            one.suspend()
        try:
            await append_without_waiting(world, "credit-ann", "1", "local")
            ticking = asyncio.create_task(follower.tick(connection))
            await until(server, IS_WAITED_FOR.format(pid=connection.info.backend_pid))
            before = await world.broker.read("money")
        finally:
            for one in family:
                one.resume()
        await ticking

        assert before == []
        assert [one.id for one in await world.broker.read("money")] == ["credit-ann/1"]

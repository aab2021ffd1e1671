"""Writers whose commits wait for no disk: what a crash takes from them, nothing else has ever had.

The product's own processes never write so (`docs/restore.md`). Another writer does here, beside
orders, and the server is killed again and again right after it was told that its event is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg
import pytest
from rich.console import Console

from domain.credit.events import LimitAssigned
from domain.identifiers import CustomerId
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import ANY_VERSION
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import drive
from runtime.settings import ShopSettings
from runtime.verify import prove
from tests.controls import eur
from tests.eventstore.interleaving import store_over
from tests.journeys.followers import (
    another_company,
    exporting,
    messages,
    nothing_more_is_written,
    the_lake_is_the_store,
)
from tests.projections.world import a_world, until
from tests.servers.postgres import a_server, sql

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(
        not is_installed(),
        reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
    ),
]

ORDERS, CRASHES = 60, 5
_CUSTOMERS: Final = 7
_AT_MOST: Final = 3.0
"""Seconds for an append while all else stands still: what stands still may hold its lock."""


@dataclass
class HastyWriter:
    """`told` are the limits that it was told are stored. No two are equal: a server that forgot an
    event gives its version and position to another one.
    """

    url: str
    told: set[int] = field(default_factory=set)
    _next: int = 0

    async def write(self, connection: Connection) -> None:
        self._next += 1
        customer = f"hasty-{self._next % _CUSTOMERS}"
        limit = LimitAssigned(
            customer=CustomerId(customer), limit=eur(self._next), held=eur(0), used=eur(0)
        )
        await store_over(connection, HANDRAIL.codec).append(
            [(f"credit-{customer}", ANY_VERSION, [limit])]
        )
        self.told.add(self._next)

    async def lost(self) -> set[int]:
        """What it was told, and the store does not have."""
        told = set(self.told)
        found = await sql(
            self.url,
            "SELECT (data->'limit'->>'amount')::int FROM events WHERE stream LIKE 'credit-hasty-%'",
        )
        return told - {amount for (amount,) in found}

    async def connected(self) -> Connection:
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        await connection.execute("SET synchronous_commit = off")
        return connection

    async def write_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(psycopg.Error):
                async with await self.connected() as connection:
                    while not stop.is_set():
                        await self.write(connection)
                        await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)


async def _crash_after_a_write(server: EmbeddedPostgres, writer: HastyWriter) -> None:
    """All that the server runs stands still, but for one backend: nothing is flushed any more."""
    connection = await writer.connected()
    pid = connection.info.backend_pid
    while True:
        others = [one for one in psutil.Process(server.pid).children() if one.pid != pid]
        for one in others:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
        try:
            async with asyncio.timeout(_AT_MOST):
                await writer.write(connection)
        except TimeoutError:
            for one in others:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.resume()
            await connection.close()
            connection = await writer.connected()
            pid = connection.info.backend_pid
        else:
            break
    await server.kill()
    await connection.close()
    await server.start()


async def test_what_a_crash_takes_from_hasty_writers_nothing_else_has_and_the_rest_is_everywhere(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path / "server") as server:
        settings = ShopSettings(
            data_dir=tmp_path / "stack",
            database_url=server.url,
            api_port=0,
            step_deadline_seconds=60,
            step_patience_seconds=120,
            lake_seconds=1,
        )
        stack = Stack(
            HANDRAIL, settings, temporal_ui=False, consumers=True, broker=True, notifiers=1
        )
        async with stack, exporting(stack.settings), another_company(stack) as company:
            writer, stop = HastyWriter(server.url), asyncio.Event()
            writing = asyncio.create_task(writer.write_until(stop))
            taken: list[set[int]] = []

            async def crashes() -> None:
                for _ in range(CRASHES):
                    await _crash_after_a_write(server, writer)
                    taken.append(await writer.lost() - set().union(*taken))

            plan = scenario.make(orders=ORDERS, merchants=3, faults=0, seed=5, prefix="hasty-")
            outcome = await drive(
                stack.api_url, stack.database_url, plan, Console(stderr=True), meanwhile=crashes
            )
            stop.set()
            await writing

            assert len(outcome.started) == ORDERS
            assert list(outcome.feed_violations) == []
            assert len(taken) == CRASHES
            assert all(taken), "each crash took what the writer had been told is stored"
            await company.gets_all_of(server.url)
            await company.has_nothing_beside(server.url)
            await nothing_more_is_written(stack)
            await the_lake_is_the_store(stack.settings, server.url)
            told = await messages(server.url, stack.address_of("provider"))
            assert (sorted(told.sent), told.due) == (sorted(told.carried), 0)
            async with a_world(server.url) as world:

                async def all_is_read() -> bool:
                    for model in HANDRAIL.read_models:
                        if await world.rows(model) != await world.folded(model):
                            return False
                    return await world.seen_all("consumer-finance")

                await until(all_is_read, seconds=60)
            proof = await prove.prove(
                server.url, None, None, feed=True, lake=stack.settings.lake_folder
            )
            assert {name: one for name, one in proof.violations.items() if one} == {}

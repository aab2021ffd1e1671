"""PostgreSQL crashes twenty times under orders: who follows the store has what it has, and no more.

Every other time only one of its backends is killed, after which it ends all connections and
recovers from its log. What was not flushed is lost each time.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from runtime.demo import notifications, scenario
from runtime.demo.consumers import consumed
from runtime.demo.customers import drive
from runtime.settings import ShopSettings
from runtime.verify import prove
from tests.journeys.followers import (
    another_company,
    exporting,
    nothing_more_is_written,
    the_lake_is_the_store,
)
from tests.projections.world import until

ORDERS, CRASHES = 240, 20

pytestmark = pytest.mark.journey


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    settings = ShopSettings(
        data_dir=tmp_path,
        api_port=0,
        step_deadline_seconds=60,
        step_patience_seconds=120,
        lake_seconds=1,
    )
    async with (
        Stack(
            HANDRAIL, settings, consumers=True, broker=True, notifiers=1, temporal_ui=False
        ) as stack,
        exporting(stack.settings),
    ):
        yield stack


async def test_what_follows_the_store_equals_it_after_twenty_crashes(stack: Stack) -> None:
    plan = scenario.make(orders=ORDERS, merchants=6, faults=0.1, seed=20, prefix="crash-")
    crashes: list[str] = []
    async with another_company(stack) as company:
        outcome = await drive(
            stack.api_url,
            stack.database_url,
            plan,
            Console(stderr=True),
            meanwhile=lambda: _crash_again_and_again(stack, crashes),
        )
        await company.gets_all_of(stack.database_url)
        await company.has_nothing_beside(stack.database_url)
    services = await consumed(stack.database_url)

    assert len(crashes) == CRASHES
    assert len(outcome.started) == ORDERS
    assert list(outcome.feed_violations) == []
    assert [one for one in services if not one.complete] == []
    temporal = await connect(
        stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
    )
    proof = await prove.prove(
        stack.database_url,
        stack.address_of("bank"),
        stack.address_of("carrier"),
        temporal,
        feed=True,
    )
    assert {name: found for name, found in proof.violations.items() if found} == {}
    await nothing_more_is_written(stack)
    await the_lake_is_the_store(stack.settings, stack.database_url)
    told = await notifications.told(stack.database_url, stack.address_of("provider"))
    assert told.complete, str(told)


async def _crash_again_and_again(stack: Stack, crashes: list[str]) -> None:
    assert stack.postgres is not None
    dice = random.Random(20)
    for number in range(CRASHES):
        before = await _newest(stack.database_url)
        await until(partial(_is_behind, stack.database_url, before), seconds=120)
        if number % 2:
            crashes.append(await _a_backend_is_killed(stack, dice))
        else:
            await stack.postgres.kill()
            await stack.postgres.start()
            crashes.append("server")


async def _a_backend_is_killed(stack: Stack, dice: random.Random) -> str:
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        rows = await connection.execute(
            "SELECT pid, application_name FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
        )
        pid, name = dice.choice(await rows.fetchall())
    psutil.Process(pid).kill()
    return str(name)


async def _newest(url: str) -> int:
    """The position of the newest event; -1 where the server does not answer."""
    with contextlib.suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(url) as connection:
            rows = await connection.execute("SELECT coalesce(max(position), 0) FROM events")
            [(newest,)] = await rows.fetchall()
            return int(newest)
    return -1


async def _is_behind(url: str, position: int) -> bool:
    """Whether something was written since."""
    return await _newest(url) > max(position, 0)

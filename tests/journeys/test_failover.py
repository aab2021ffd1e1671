"""A standby is promoted under load: what was lost is named, and nothing that exists is missing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import orjson
import pytest
from rich.console import Console

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.stack import Stack
from handrail.projections.projection import Projection
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import SETTLED, Outcome, drive
from runtime.settings import ShopSettings
from runtime.verify import prove
from tests.journeys.followers import (
    another_company,
    exporting,
    messages,
    nothing_more_is_written,
    stored,
    the_lake_is_the_store,
)
from tests.projections.world import World, a_world, until
from tests.servers.postgres import (
    a_server,
    a_standby,
    configure,
    cut_off,
    fail_over,
    sql,
    value,
    whoever_writes,
)
from tests.servers.postgres import (
    until as until_at,
)

pytestmark = pytest.mark.journey

PROGRAM: Final = str(Path(sys.executable).with_name("handrail"))
SAGAS: Final = "SELECT count(*) FROM streams WHERE name LIKE 'saga-%'"
SAGA_OF_EACH: Final = (
    "SELECT stream || '/' || version, position, metadata->>'correlation' FROM events"
)
WHOLE: Final = (
    "feed_once_in_order",
    "read_models_equal_fold",
    "no_message_parked",
    "lake_equals_events",
    "versions_without_holes",
)
"""The invariants that a store with losses keeps: others have what it has lost."""


@asynccontextmanager
async def _stack(
    tmp_path: Path, *servers: EmbeddedPostgres, **settings: Any
) -> AsyncIterator[Stack]:
    url = whoever_writes(*servers)
    chosen = ShopSettings(
        data_dir=tmp_path / "stack",
        database_url=url,
        api_port=0,
        step_deadline_seconds=15,
        step_patience_seconds=60,
        lake_seconds=1,
        **settings,
    )
    async with (
        Stack(
            HANDRAIL, chosen, temporal_ui=False, consumers=True, broker=True, notifiers=1
        ) as stack,
        exporting(stack.settings),
    ):
        yield stack


async def _the_api_answers(stack: Stack) -> None:
    """Its processes go on by themselves, each as soon as it looks again."""
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=10) as client:

        async def is_ready() -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get("/readyz")).is_success
            return False

        await until(is_ready, seconds=60)


def _plan(orders: int, prefix: str) -> scenario.Plan:
    return scenario.make(orders=orders, merchants=3, faults=0, seed=orders, prefix=prefix)


async def _orders(stack: Stack, orders: int, prefix: str, **options: Any) -> Outcome:
    plan = _plan(orders, prefix)
    return await drive(stack.api_url, stack.database_url, plan, Console(stderr=True), **options)


@asynccontextmanager
async def _customers(stack: Stack, prefix: str) -> AsyncIterator[None]:
    """Who order again and again at the accounts of an earlier plan, whatever they are answered."""
    over = asyncio.Event()
    limits = httpx.Limits(max_keepalive_connections=0)

    async def order(client: httpx.AsyncClient, orders: Sequence[scenario.Order]) -> None:
        while not over.is_set():
            for one in orders:
                with suppress(httpx.HTTPError):
                    headers = {"Idempotency-Key": uuid4().hex}
                    await client.post("/orders", json=one.body, headers=headers)

    async with httpx.AsyncClient(base_url=stack.api_url, timeout=10, limits=limits) as client:
        orders = _plan(20, prefix).orders
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(order(client, orders))
            yield
            over.set()


async def _handrail(stack: Stack, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, "--json",
        env={**os.environ, **stack.settings.environment()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await asyncio.wait_for(process.communicate(), 120)
    assert out, error.decode()
    said: dict[str, Any] = orjson.loads(out.splitlines()[-1])
    return said


async def _terminate(stack: Stack, sagas: Sequence[dict[str, Any]]) -> None:
    """As the advice says."""
    temporal = await connect(
        stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
    )
    for saga in sagas:
        if saga["running"]:
            with suppress(Exception):  # it has ended meanwhile
                await temporal.get_workflow_handle(saga["workflow"]).terminate("lost by a failover")


async def _all_is_read(world: World) -> None:
    """Deliveries go on meanwhile."""
    for projection in HANDRAIL.read_models:

        async def is_read(one: Projection[Any] = projection) -> bool:
            return bool(await world.rows(one) == await world.folded(one))

        await until(is_read, seconds=60)
    await until(lambda: world.seen_all("consumer-finance"), seconds=60)


async def test_what_an_asynchronous_standby_missed_is_named_and_all_that_exists_is_read(
    tmp_path: Path,
) -> None:
    async with (
        a_server(tmp_path / "primary") as primary,
        a_standby(primary, tmp_path / "standby") as standby,
        _stack(tmp_path, primary, standby) as stack,
        another_company(stack) as company,
    ):
        before = await _orders(stack, 20, "before-")
        await cut_off(standby)
        lost = await _orders(stack, 15, "lost-")
        async with _customers(stack, "before-"):
            some = await value(primary.url, SAGAS) + 20
            await until_at(primary, f"SELECT ({SAGAS}) > {some}")  # others are in the middle of it
            await fail_over(primary, standby)

        missed = await stored(standby.url)
        found = await _handrail(stack, "restore", "check")
        named = {one["workflow"] for one in found["sagas"]}
        # A saga whose steps were not in its history yet asks for them anew: it loses nothing.
        anew = lost.started.keys() - named
        assert not named & before.started.keys()
        assert "handrail restore check" in found["refused"]
        await _terminate(stack, found["sagas"])
        adopted = await _handrail(
            stack, "restore", "adopt", "--because", "the primary burned", "--yes"
        )
        assert adopted["epoch"] == 2
        await _the_api_answers(stack)

        after = await _orders(stack, 20, "after-")
        assert {one["status"] for one in after.sagas.values()} <= SETTLED
        assert list(after.feed_violations) == []
        async with a_world(stack.database_url) as world:
            await _all_is_read(world)
            known = {saga for (saga,) in await sql(standby.url, "SELECT saga FROM saga_board")}
            assert known >= before.started.keys() | after.started.keys()
            assert known & lost.started.keys() == anew
            # Of some the request had no answer: they ask anew, too.
            anew |= known - before.started.keys() - after.started.keys()
        await company.gets_all_of(standby.url)
        await nothing_more_is_written(stack)
        await the_lake_is_the_store(stack.settings, standby.url)
        told = await messages(standby.url, stack.address_of("provider"))
        assert told.due == 0
        assert Counter(told.sent) - Counter(told.carried) == Counter()
        proof = await prove.prove(
            stack.database_url, None, None, feed=True, lake=stack.settings.lake_folder
        )
        assert {name: proof.violations[name] for name in WHOLE if proof.violations[name]} == {}
        there = await stored(standby.url)

    # What the lost server had, it says itself, once no process can come to it.
    await primary.start()
    gone = (await stored(primary.url)).keys() - missed.keys()
    sagas = await sql(primary.url, SAGA_OF_EACH)
    await primary.kill()
    assert gone
    assert not gone & there.keys(), "its positions were not given out again"
    known = {*found["lake"]["lost"], *(id_ for id_, _ in company.inbox - there.keys())}
    named |= anew
    of = {(id_, position): saga for id_, position, saga in sagas}
    assert [key for key in sorted(gone) if key[0] not in known and of[key] not in named] == []


async def test_no_acknowledged_order_is_lost_with_a_synchronous_standby(tmp_path: Path) -> None:
    async with (
        a_server(tmp_path / "primary") as primary,
        a_standby(primary, tmp_path / "standby") as standby,
    ):
        await configure(primary, synchronous_standby_names="*")
        async with (
            _stack(
                tmp_path, primary, standby, new_timeline="adopt", synchronous_commit="remote_apply"
            ) as stack,
            another_company(stack) as company,
        ):
            outcome = await _orders(
                stack, 100, "order-", meanwhile=lambda: fail_over(primary, standby)
            )

            standing = {one: outcome.sagas.get(one, {}).get("status") for one in outcome.started}
            assert len(outcome.started) == 100
            assert {order: was for order, was in standing.items() if was not in SETTLED} == {}
            assert await value(standby.url, "SELECT max(epoch) FROM store_epochs") == 2
            found = await _handrail(stack, "restore", "check")
            assert found["sagas"] == []
            assert found["lake"]["lost"] == []
            async with a_world(stack.database_url) as world:
                await _all_is_read(world)
            await company.gets_all_of(standby.url)
            await company.has_nothing_beside(standby.url)
            temporal = await connect(
                stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
            )
            proof = await prove.prove(
                stack.database_url, stack.address_of("bank"), stack.address_of("carrier"), temporal
            )
            assert {name: one for name, one in proof.violations.items() if one} == {}
            await nothing_more_is_written(stack)
            await the_lake_is_the_store(stack.settings, standby.url)
            told = await messages(standby.url, stack.address_of("provider"))
            assert (sorted(told.sent), told.due) == (sorted(told.carried), 0)

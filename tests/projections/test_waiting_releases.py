"""Processes of two releases on one database: what the older ones cannot read the newer ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import MerchantAccountOpened, PayableAccrued
from handrail.dev.supervisor import Service
from handrail.eventstore.codec import Codec
from handrail.settings import APP_VARIABLE, Settings
from projections import merchant_balance, order_status
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.projections.next_release import NEXT
from tests.projections.stories import placed
from tests.projections.world import World, until

pytestmark = pytest.mark.journey  # it starts whole processes

MERCHANT = MerchantId("m-1")
STREAM = f"merchant-{MERCHANT}"
READERS = ("order_status", "merchant_balance", "consumer/finance")
MODELS = (order_status.PROJECTION, merchant_balance.PROJECTION)


@asynccontextmanager
async def release(database: str, folder: Path, name: str, app: str) -> AsyncIterator[list[Service]]:
    """A projector and a consumer of a release, as the processes they are."""
    folder = folder / name
    folder.mkdir()
    environment = {
        **Settings(database_url=database, data_dir=folder).environment(),
        APP_VARIABLE: app,
    }
    async with AsyncExitStack() as stack:
        started = []
        for what in (["projector"], ["consumer", "finance"]):
            service = Service(f"{name}-{what[0]}", what, folder=folder, environment=environment)
            stack.push_async_callback(service.stop)
            await service.start()
            started.append(service)
        yield started


async def accrued(world: World, number: int, codec: Codec = HANDRAIL.codec) -> None:
    order, balance = OrderId(f"o-{number}"), 97_10 * number
    event = PayableAccrued(
        merchant=MERCHANT, order=order, gross=eur(100_00), fee=eur(2_90), balance=eur(balance)
    )
    await world.append(STREAM, event, codec=codec)
    await world.append(f"order-{order}", placed(order), codec=codec)


async def test_read_models_and_consumers_survive_a_deployment_that_is_taken_back(
    database: str, world: World, tmp_path: Path
) -> None:
    await world.append(
        STREAM, MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=290)
    )
    async with release(database, tmp_path, "old", "runtime.app:HANDRAIL"):
        await accrued(world, 1)
        await until(lambda: seen(world), seconds=60)
        await accrued(world, 2, NEXT.codec)
        await accrued(world, 3)
        await until(lambda: wait(world), seconds=60)
        async with release(database, tmp_path, "new", "tests.projections.next_release:NEXT") as new:
            await until(lambda: seen(world), seconds=60)
            await accrued(world, 4, NEXT.codec)
            await until(lambda: seen(world), seconds=60)
            for service in new:
                await service.kill()
        await accrued(world, 5)
        await until(lambda: seen(world), seconds=60)

    for model in MODELS:
        assert await world.rows(model) == await world.folded(model, NEXT.codec)
    assert await world.sql("SELECT FROM parked_events") == []
    assert await world.sql("SELECT FROM parked_messages") == []
    assert await world.sql(
        "SELECT id FROM inbox WHERE consumer = 'finance' AND id LIKE :of ORDER BY id",
        of=f"{STREAM}/%",
    ) == [(f"{STREAM}/{version}",) for version in range(2, 7)]


async def seen(world: World) -> bool:
    return all([await world.seen_all(name) for name in READERS])


async def wait(world: World) -> bool:
    found = await world.sql("SELECT DISTINCT subscriber FROM newer_code_waits")
    return {name for (name,) in found} == set(READERS)

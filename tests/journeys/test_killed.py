"""Processes are killed in the middle of 200 orders: every order reaches an end, and all adds up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import SETTLED, Outcome, drive
from runtime.settings import ShopSettings
from runtime.verify import prove

ORDERS = 200
Killing = Callable[[Stack], Awaitable[None]]

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    settings = ShopSettings(
        data_dir=tmp_path_factory.mktemp("journey"),
        api_port=0,
        step_deadline_seconds=15,
        step_patience_seconds=60,
    )
    async with Stack(HANDRAIL, settings, temporal_ui=False) as stack:
        yield stack


async def _kill_the_worker(stack: Stack) -> None:
    [worker] = stack.workers
    await worker.kill()
    await worker.start()


async def _kill_the_projector(stack: Stack) -> None:
    [projector] = stack.projectors
    await projector.kill()
    await projector.start()


async def _kill_postgres(stack: Stack) -> None:
    assert stack.postgres is not None
    await stack.postgres.kill()
    await stack.postgres.start()


KILLINGS: Mapping[str, Killing] = {
    "worker": _kill_the_worker,
    "projector": _kill_the_projector,
    "postgres": _kill_postgres,
}


@pytest.mark.parametrize("victim", KILLINGS)
async def test_every_order_reaches_an_end_though_it_was_killed(stack: Stack, victim: str) -> None:
    plan = scenario.make(
        orders=ORDERS, merchants=8, faults=0.1, seed=len(victim), prefix=f"{victim}-"
    )

    outcome = await drive(
        stack.api_url,
        stack.database_url,
        plan,
        Console(stderr=True),
        meanwhile=lambda: KILLINGS[victim](stack),
    )

    assert len(outcome.started) == ORDERS
    assert _unsettled(outcome) == {}
    assert list(outcome.feed_violations) == []
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


def _unsettled(outcome: Outcome) -> Mapping[str, str]:
    standing = {order: outcome.sagas.get(order, {}).get("status") for order in outcome.started}
    return {order: str(status) for order, status in standing.items() if status not in SETTLED}

"""Merchants get what their sagas stored: signed, each stream in order, each event once by its id,
though the dispatcher is killed in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from aiohttp import web
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.subject_keys.key_file import make
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import SETTLED, drive
from runtime.settings import ShopSettings
from tests.projections.world import until
from tests.servers.postgres import sql, value
from tests.webhook_endpoints.receiver import Receiver, receiving

pytestmark = pytest.mark.journey

ORDERS: Final = 60
# What a merchant is to have, from the store: its own events of the types it asked for.
STORED: Final = """
    SELECT stream, version, type, data FROM events
    WHERE metadata->>'merchant' = %s AND type = ANY (%s) ORDER BY position
"""
OPEN: Final = """
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered')
        + (SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard
            WHERE c.projection = 'webhooks' AND NOT pg_visible_in_snapshot(o.txid, c.since))
"""


@dataclass(frozen=True)
class Merchant:
    id: str
    receiver: Receiver


class Answers:
    """Those of all merchants. While they are withheld, a webhook that was sent is on its way."""

    def __init__(self) -> None:
        self.waiting = 0
        self._are_given = asyncio.Event()
        self._are_given.set()

    async def answer(self, _: dict[str, Any]) -> web.Response:
        self.waiting += 1
        try:
            await self._are_given.wait()
        finally:
            self.waiting -= 1
        return web.Response(status=204)

    @contextmanager
    def withheld(self) -> Iterator[None]:
        self._are_given.clear()
        try:
            yield
        finally:
            self._are_given.set()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    keys = tmp_path / "subject-keys"
    make(keys)
    settings = ShopSettings(
        data_dir=tmp_path / "stack",
        api_port=0,
        subject_keys_file=keys,
        dispatcher_timeout_seconds=1,  # the lease of a killed dispatcher is three times that
    )
    async with Stack(HANDRAIL, settings, temporal_ui=False, dispatchers=1) as stack:
        yield stack


async def _registered(stack: Stack, merchants: Sequence[Merchant], answers: Answers) -> list[str]:
    """An endpoint of each for everything that is offered; answers the types of events."""
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=30) as client:
        offered = (await client.get("/webhook-events")).raise_for_status().json()["events"]
        for merchant in merchants:
            body = {"url": merchant.receiver.url, "events": offered, "merchant": merchant.id}
            answer = await client.post("/webhook-endpoints", json=body)
            assert answer.status_code == 201, answer.text
            merchant.receiver.secrets = [answer.json()["secret"]]
            merchant.receiver.answer = answers.answer
    return [one.split(".")[1] for one in offered]


async def _kill_the_dispatcher(
    stack: Stack, merchants: Sequence[Merchant], answers: Answers
) -> None:
    """Twice, each time while a webhook is on its way."""
    [dispatcher] = stack.dispatchers
    for _ in range(2):
        had = sum(len(one.receiver.got) for one in merchants)

        async def is_at_work(more: int = had + 20) -> bool:
            return sum(len(one.receiver.got) for one in merchants) >= more

        async def one_is_on_its_way() -> bool:
            return answers.waiting > 0

        await until(is_at_work, seconds=60)
        with answers.withheld():
            await until(one_is_on_its_way, seconds=60)
            await dispatcher.kill()
        assert await value(stack.database_url, OPEN) > 0, "it was killed while it had work"
        await dispatcher.start()


async def test_each_merchant_has_the_events_of_its_sagas_though_the_dispatcher_was_killed(
    stack: Stack,
) -> None:
    plan = scenario.make(orders=ORDERS, merchants=3, faults=0.1, seed=7)
    async with AsyncExitStack() as open_:
        merchants = [
            Merchant(one.id, await open_.enter_async_context(receiving())) for one in plan.merchants
        ]
        answers = Answers()
        types = await _registered(stack, merchants, answers)

        outcome = await drive(
            stack.api_url,
            stack.database_url,
            plan,
            Console(stderr=True),
            meanwhile=lambda: _kill_the_dispatcher(stack, merchants, answers),
        )

        async def all_is_delivered() -> bool:
            return bool(await value(stack.database_url, OPEN) == 0)

        await until(all_is_delivered, seconds=60)

    assert {one["status"] for one in outcome.sagas.values()} <= SETTLED
    for merchant in merchants:
        kept = list({one["id"]: one["event"] for one in merchant.receiver.got}.values())
        got = [_as_stored(one) for one in kept]
        stored = await sql(stack.database_url, STORED, merchant.id, types)
        assert merchant.receiver.unverifiable == 0
        assert {"OrderPlaced", "OrderConfirmed"} <= {type_ for _, _, type_, _ in stored}
        assert _by_stream(got) == _by_stream(stored)


def _as_stored(event: dict[str, Any]) -> tuple[str, int, str, Any]:
    return event["stream"], event["streamversion"], event["type"].split(".")[1], event["data"]


def _by_stream(events: Sequence[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """In the order in which they came."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for one in events:
        found.setdefault(one[0], []).append(one)
    return found

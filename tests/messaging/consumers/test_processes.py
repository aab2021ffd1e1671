"""Consumers as the processes they are, and what a person does about them on the command line."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import httpx
import orjson
import pytest

from consumers import finance
from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import PayableAccrued
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.dev.supervisor import Service, wait_until
from handrail.eventstore.store import Recorded
from handrail.messaging.cloud_events import message_of
from handrail.messaging.consumers.inbox import park
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.messaging.consumers.place import Place
from tests.projections.world import until

pytestmark = pytest.mark.journey  # it starts whole processes


def settings_of(place: Place, folder: Path, **more: Any) -> Settings:
    return Settings(database_url=place.url, data_dir=folder, **more)


@asynccontextmanager
async def a_consumer(place: Place, folder: Path, name: str, **more: Any) -> AsyncIterator[Service]:
    service = Service(
        name,
        ["consumer", "finance"],
        folder=folder,
        environment=settings_of(place, folder, **more).environment(),
    )
    try:
        await service.start()
        yield service
    finally:
        await service.stop()


async def handrail(
    place: Place, folder: Path, *arguments: str, **more: Any
) -> tuple[int, dict[str, Any], str]:
    """The exit code, the JSON of the last line, and what it said to people."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "handrail.cli.main", *arguments),
        env={**os.environ, **settings_of(place, folder, **more).environment()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, orjson.loads(out or b"{}"), said.decode()


async def accrued(place: Place, merchant: str) -> None:
    event = PayableAccrued(
        merchant=MerchantId(merchant),
        order=OrderId("o"),
        gross=eur(100_00),
        fee=eur(2_90),
        balance=eur(0),
    )
    await place.append(f"merchant-{merchant}", event)


async def owed(place: Place, merchant: str) -> int:
    found = await place.value(
        "SELECT coalesce(-sum(amount), 0) FROM ledger_lines WHERE account = 'payable'"
        " AND party = :merchant",
        merchant=merchant,
    )
    return int(found)


async def is_owed(place: Place, merchant: str, amount: int) -> bool:
    return await owed(place, merchant) == amount


async def test_without_a_broker_the_process_is_fed_by_the_store(
    place: Place, tmp_path: Path
) -> None:
    await accrued(place, "m1")
    async with (
        a_consumer(place, tmp_path, "one") as killed,
        a_consumer(place, tmp_path, "two"),
    ):
        await until(lambda: is_owed(place, "m1", 97_10))
        await killed.kill()
        for number in range(2, 6):
            await accrued(place, f"m{number}")
        for number in range(1, 6):
            await until(lambda number=number: is_owed(place, f"m{number}", 97_10))  # type: ignore[misc]


@pytest.fixture
async def finance_queue(broker: EmbeddedRabbitMQ) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """The consumer's queue, in its virtual host."""
    host = "finance"
    async with httpx.AsyncClient(base_url=broker.management_url, trust_env=False) as http:
        (await http.put(f"/api/vhosts/{host}")).raise_for_status()
        async with await aio_pika.connect(f"{broker.url}/{host}") as connection:
            channel = await connection.channel()
            await channel.declare_queue(
                finance.CONSUMER.queue,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-single-active-consumer": True},
            )
            yield channel
        (await http.delete(f"/api/vhosts/{host}")).raise_for_status()


async def send(place: Place, channel: aio_pika.abc.AbstractChannel, merchant: str) -> None:
    rows = await place.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at FROM events"
        " WHERE stream = :stream ORDER BY version",
        stream=f"merchant-{merchant}",
    )
    for row in rows:
        headers, body, content_type = message_of(Recorded(*row), HANDRAIL.routing)
        message = aio_pika.Message(body, headers=dict(headers), content_type=content_type)
        await channel.default_exchange.publish(message, finance.CONSUMER.queue)


async def test_with_a_broker_it_first_gets_what_was_stored_before_and_then_its_queue(
    place: Place,
    tmp_path: Path,
    broker: EmbeddedRabbitMQ,
    finance_queue: aio_pika.abc.AbstractChannel,
) -> None:
    await accrued(place, "before")
    async with (
        a_consumer(place, tmp_path, "one", broker_url=broker.url, metrics_port=0),
    ):
        assert await owed(place, "before") == 97_10
        await accrued(place, "later")
        assert await owed(place, "later") == 0
        await send(place, finance_queue, "before")
        await send(place, finance_queue, "later")
        await until(lambda: is_owed(place, "later", 97_10))
        assert await owed(place, "before") == 97_10

        ready = tmp_path / "ready" / "one"
        assert ready.exists()
        await finance_queue.queue_delete(finance.CONSUMER.queue)
        assert await wait_until(lambda: not ready.exists(), 10)


async def test_catching_up_takes_from_the_store_what_a_queue_has_missed(
    place: Place, tmp_path: Path
) -> None:
    await accrued(place, "missed")

    code, _, said = await handrail(place, tmp_path, "consumer", "finance", "--catch-up")

    assert (code, await owed(place, "missed")) == (0, 97_10)
    assert "1 events were read for it" in said


async def test_what_waits_is_listed_retried_and_discarded(place: Place, tmp_path: Path) -> None:
    merchants = [f"m-{uuid4().hex[:6]}" for _ in range(3)]
    for merchant in merchants:
        await accrued(place, merchant)
    async with place.pool.connection() as connection:
        for message in await place.messages():
            await park(connection, finance.CONSUMER, message, "KeyError: 'nobody'", 3)
    retried, discarded, left = (f"merchant-{merchant}" for merchant in merchants)

    code, found, _ = await handrail(place, tmp_path, "consumers", "list", "--json")
    assert code == 1
    assert found["consumers"][0] == {
        "name": "finance",
        "parked_streams": 3,
        "parked": 3,
        "waiting_streams": 0,
        "waiting": 0,
    }
    code, found, said = await handrail(place, tmp_path, "consumers", "parked", "finance", "--json")
    assert (code, [one["stream"] for one in found["parked"]]) == (1, [retried, discarded, left])
    assert "KeyError: 'nobody'" in said

    why = ("--reason", "mended in 1.2.3", "--actor", "ben", "--json")
    code, found, _ = await handrail(place, tmp_path, "consumers", "retry", "finance", retried, *why)
    assert (code, found) == (0, {"consumer": "finance", "handled": 1, "stopped": {}})
    code, found, _ = await handrail(
        place, tmp_path, "consumers", "discard", "finance", discarded, *why
    )
    assert (code, found) == (0, {"discarded": {"stream": discarded, "version": 1}})
    code, found, _ = await handrail(place, tmp_path, "consumers", "retry", "finance", *why)
    assert (code, found) == (0, {"consumer": "finance", "handled": 1, "stopped": {}})
    code, _, said = await handrail(place, tmp_path, "consumers", "retry", "finance", retried, *why)
    assert (code, said) == (1, f"finance: nothing of {retried} waits\n")

    assert [await owed(place, merchant) for merchant in merchants] == [97_10, 0, 97_10]
    assert await place.sql(
        "SELECT DISTINCT settled_as, actor, reason FROM parked_messages ORDER BY settled_as"
    ) == [
        ("discarded", "ben", "mended in 1.2.3"),
        ("handled", "ben", "mended in 1.2.3"),
    ]


async def test_there_is_a_reason_or_nothing_is_done(place: Place, tmp_path: Path) -> None:
    code, _, _ = await handrail(place, tmp_path, "consumers", "discard", "finance", "merchant-m")
    assert code != 0


async def test_an_unknown_consumer_is_an_error_that_names_the_known(
    place: Place, tmp_path: Path
) -> None:
    code, _, said = await handrail(place, tmp_path, "consumer", "weather")
    assert code == 2
    assert said.startswith("there is no consumer weather: one of finance, logistics")

"""The process that wires it all, and the commands of those who look after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from handrail.dev.supervisor import free_port
from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.relay.republishing import Republished, republished
from handrail.processes import relay as relay_process
from handrail.processes.relay import forget_relay, run, show_parked, work_off
from handrail.settings import Settings
from tests.commands import handrail
from tests.messaging.relay.test_unroutable import got, holds, ids
from tests.messaging.relay.world import World
from tests.projections.world import until

pytestmark = pytest.mark.journey  # it starts whole processes


def settings_for(world: World, **more: object) -> Settings:
    return Settings.model_validate(
        {"database_url": world.url, "broker_url": world.broker.amqp, "data_dir": Path("/"), **more}
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await process


async def figures(port: int) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = [line.split() for line in told.splitlines() if line.startswith("handrail")]
    return {name: float(value) for name, value in lines}


async def test_a_relay_process_says_that_it_is_ready_publishes_counts_and_leaves(
    world: World, tmp_path: Path
) -> None:
    await world.rows("DELETE FROM checkpoints")
    await holds(world, "ann", 2)
    await world.broker.unbind("money")
    ready, port = tmp_path / "ready", free_port()

    async def is_ready() -> bool:
        return ready.exists()

    async with running(settings_for(world, ready_file=ready, metrics_port=port)):
        await until(is_ready)
        await until(world.seen_all)
        counted = await figures(port)

    assert await got(world, "events") == ids("ann", 2)
    assert counted["handrail_relay_published_total"] == 3
    assert counted["handrail_relay_confirmed_total"] == 2
    assert counted["handrail_relay_returned_total"] == 1
    assert counted["handrail_relay_parked_total"] == 2
    assert counted["handrail_relay_reconnects_total"] == 0
    assert counted["handrail_relay_connected"] == 1
    assert counted["handrail_relay_blocked"] == 0
    assert counted["handrail_relay_events_read"] == 2
    assert counted["handrail_relay_checkpoints_held"] == 16
    assert await world.value("SELECT count(*) FROM followers") == 0
    assert await world.value("SELECT count(*) FROM checkpoints WHERE owner IS NOT NULL") == 0


async def test_a_relay_that_starts_again_goes_on_where_it_was(world: World) -> None:
    for count in (2, 5):
        await holds(world, "ann", 1, first=count)
        async with running(settings_for(world)):
            await until(world.seen_all)

    assert await got(world, "money") == ids("ann", 2)


async def test_a_relay_whose_broker_does_not_answer_leaves_all_the_same(world: World) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await holds(world, "ann", 1)
    url = f"amqp://guest:guest@127.0.0.1:{port}"

    async with asyncio.timeout(5), running(settings_for(world, broker_url=url, shutdown_seconds=1)):
        await until(lambda: _is_leased(world))

    server.close()
    assert await world.value("SELECT count(*) FROM checkpoints WHERE owner IS NOT NULL") == 0


async def _is_leased(world: World) -> bool:
    return bool(await world.value("SELECT count(*) = 16 FROM checkpoints WHERE owner IS NOT NULL"))


async def test_an_operator_sees_what_waits_and_one_command_publishes_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(world)
    assert await show_parked(settings, json=False) == 0
    await world.broker.unbind("money")
    for customer in ("ann", "bob"):
        await holds(world, customer, 3)
    await world.catch_up()

    assert await show_parked(settings, json=True) == 1
    said = capsys.readouterr()
    shown = orjson.loads(said.out.splitlines()[-1])["parked"]
    assert [(one["exchange"], one["stream"], one["events"]) for one in shown] == [
        ("money", "credit-ann", 3),
        ("money", "credit-bob", 3),
    ]
    assert all("NO_ROUTE" in one["cause"] for one in shown)
    assert "handrail relay retry" in said.err

    assert await work_off(settings, None, None) == 1
    assert "credit-ann stopped at position" in capsys.readouterr().err
    await world.broker.bind("money")
    assert await work_off(settings, "money", "credit-bob") == 0
    assert await got(world, "money") == ids("bob", 3)
    assert await work_off(settings, None, None) == 0
    assert await got(world, "money") == ids("ann", 3)
    assert await show_parked(settings, json=False) == 0


async def test_nothing_is_kept_for_a_relay_that_is_forgotten(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(world)
    await world.broker.unbind("money")
    await holds(world, "ann", 1)
    async with running(settings):
        await until(world.seen_all)
        assert await forget_relay(settings) == 1
        assert "stop it first" in capsys.readouterr().err

    assert await forget_relay(settings) == 0
    assert await world.value("SELECT count(*) FROM checkpoints") == 0
    assert await world.parked() == []
    await world.broker.bind("money")
    async with running(settings):
        await until(lambda: _is_leased(world))
        await until(world.seen_all)
    assert await got(world, "money") == ids("ann", 1)


async def test_a_relay_that_begins_while_an_operator_waits_for_the_count_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await holds(world, "ann", 1)
    await world.catch_up()

    async def counts_for_long(connection: Connection, consumers: Sequence[Consumer]) -> Republished:
        await connection.execute(
            "UPDATE checkpoints SET owner = 'x', lease = '1 hour',"
            " leased_until = clock_timestamp() + interval '1 hour'"
        )
        return await republished(connection, consumers)

    monkeypatch.setattr(relay_process, "republished", counts_for_long)

    assert await forget_relay(settings_for(world)) == 1
    assert "a relay has begun meanwhile" in capsys.readouterr().err
    assert await _is_leased(world)


async def test_a_relay_whose_checkpoints_are_forgotten_begins_with_the_first_event(
    world: World,
) -> None:
    async with running(settings_for(world)):
        await until(lambda: _is_leased(world))
        async with world.pool.connection() as connection:
            await connection.execute("DELETE FROM checkpoints")
        await holds(world, "ann", 1)
        await until(lambda: _is_leased(world))
        await until(world.seen_all)

    assert await got(world, "money") == ids("ann", 1)


async def test_a_retry_without_a_broker_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 1)
    await world.catch_up()

    nowhere = settings_for(world, broker_url="amqp://guest:guest@127.0.0.1:1")
    assert await work_off(nowhere, None, None) == 1
    assert "0 messages published, then" in capsys.readouterr().err
    assert len(await world.parked()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["retry", "monye"], "monye"), (["retry"], "HANDRAIL_BROKER_URL")],
)
async def test_a_command_that_cannot_work_says_why(
    world: World, arguments: list[str], said: str, tmp_path: Path
) -> None:
    own = {"HANDRAIL_DATABASE_URL": world.url, "HANDRAIL_DATA_DIR": str(tmp_path)}
    ended = await handrail("relay", *arguments, environment=own)

    assert ended.code
    assert said in ended.out + ended.error

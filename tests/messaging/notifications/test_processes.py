"""Notifiers and commands as the processes they are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from handrail.cli.notification_commands import BadTemplate, read_campaign
from handrail.dev.supervisor import Service, free_port
from handrail.personal import is_sealed
from handrail.processes.personal_texts import personal_texts
from handrail.settings import Settings
from tests import commands
from tests.messaging.notifications.world import World, sent_twice
from tests.projections.world import until

pytestmark = pytest.mark.journey  # it starts whole processes

TEMPLATE = """
channel = "email"
[en]
subject = "Sale"
body = "All lamps"
[de]
subject = "Ausverkauf"
body = "Alle Lampen"
"""


def settings_of(world: World, folder: Path, **more: Any) -> Settings:
    return Settings(
        database_url=world.url,
        provider_url=world.provider_url,
        data_dir=folder,
        **{"provider_timeout_seconds": 0.5, "notifier_lease_seconds": 1.5, **more},
    )


@asynccontextmanager
async def notifiers(world: World, folder: Path, *names: str) -> AsyncIterator[list[Service]]:
    environment = settings_of(world, folder).environment()
    services = [
        Service(name, ["notifier"], folder=folder, environment=environment) for name in names
    ]
    try:
        await asyncio.gather(*(service.start() for service in services))
        yield services
    finally:
        await asyncio.gather(*(service.stop() for service in services))


async def handrail(world: World, folder: Path, *arguments: str, **more: Any) -> tuple[int, str]:
    environment = {**os.environ, **settings_of(world, folder, **more).environment()}
    ended = await commands.handrail(*arguments, environment=environment)
    return ended.code, ended.out + ended.error


async def test_a_notifier_that_is_killed_loses_nothing_and_sends_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    await world.knows("many", email="to_late_0.05")
    await world.sql(
        "INSERT INTO notifications (lane, source, channel, kind, customer, language, subject,"
        " body, state, due_at)"
        " SELECT 'transactional', 'm-' || n, 'email', 'order-confirmed', 'many', 'en', 's', 'b',"
        " 'waiting', now() FROM generate_series(1, 400) AS n"
    )
    async with notifiers(world, tmp_path, "one", "other") as [one, _]:
        await until(lambda: _carried(world, 50))
        await one.kill()
        await until(world.nothing_waits)
    carried = await world.carried()
    assert len(carried) == 400
    assert not sent_twice(carried)
    assert set((await world.states()).values()) == {"sent"}


async def _carried(world: World, count: int) -> bool:
    return len(await world.carried()) >= count


async def test_a_campaign_is_begun_with_a_command_and_again_does_nothing(
    world: World, tmp_path: Path
) -> None:
    for number in range(3):
        await world.knows(f"c-{number}", choices={"campaigns": {"email": True}})
    template, listed = tmp_path / "sale.toml", tmp_path / "customers"
    template.write_text(TEMPLATE)
    listed.write_text("c-0\nc-2\nnobody\n\n")
    command = ("campaign", "sale", "--template", str(template), "--to", str(listed), "--json")
    for _ in range(2):
        code, said = await handrail(world, tmp_path, *command)
        assert code == 0, said
        assert '{"campaign":"sale","total":3,"considered":3,"enqueued":2,"finished":true}' in said
    assert await world.sql("SELECT customer FROM notifications ORDER BY 1") == [("c-0",), ("c-2",)]
    code, said = await handrail(world, tmp_path, *command[:-3], "--to", "all")
    assert code == 1
    assert "give this one a name of its own" in said
    code, said = await handrail(world, tmp_path, "campaign", "stop", "sale", "--reason", "no")
    assert (code, "2 messages were discarded" in said) == (0, True), said


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (("email", "fax"), "channel: Input should be 'push', 'sms' or 'email'"),
        (("[de]", "[fr]"), "de: Field required"),
        (('"email"', '"sms"'), "de.body: sms takes 160 characters"),
        (('"email"', '"email'), "sale.toml: "),
    ],
)
def test_a_template_is_read_before_anybody_is_written_to(
    spoilt: tuple[str, str], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "sale.toml"
    long = TEMPLATE.replace("Alle Lampen", "Alle Lampen " * 20)
    file.write_text(long)
    read_campaign("sale", file, None)
    file.write_text(long.replace(*spoilt))
    with pytest.raises(BadTemplate, match=said):
        read_campaign("sale", file, None)


async def test_what_could_not_be_sent_is_listed_retried_and_discarded_by_command(
    world: World, tmp_path: Path
) -> None:
    await world.knows("ann", email="to_broken")
    for source in ("m-1", "m-2"):
        await world.enqueue(source, "ann")
    async with world.notifying(attempts=1):
        await until(world.nothing_waits)
    code, said = await handrail(world, tmp_path, "notifications", "parked", "--json")
    figures = orjson.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert code == 1
    assert figures["lanes"][0]["parked"] == 2
    assert {(one["source"], one["reason"]) for one in figures["stuck"]} == {
        ("m-1", "HTTP 500"),
        ("m-2", "HTTP 500"),
    }
    why = ("--reason", "ticket 7", "--actor", "ann")
    assert (await handrail(world, tmp_path, "notifications", "discard", "m-1", *why))[0] == 0
    assert (await handrail(world, tmp_path, "notifications", "retry", *why))[0] == 0
    assert await world.states("state || ' ' || actor") == {
        ("m-1", "email"): "discarded ann",
        ("m-2", "email"): "waiting ann",
    }
    reasons = list((await world.states("actor_reason")).values())
    assert all(map(is_sealed, reasons)), reasons
    settings = settings_of(world, tmp_path)
    async with personal_texts(settings, declared=False, name="keys of a test") as personal:
        assert await personal.open(reasons) == ["ticket 7", "ticket 7"]
    assert (await handrail(world, tmp_path, "notifications", "retry", "m-1", *why))[0] == 1


async def test_a_lease_that_is_too_short_is_no_setting(world: World, tmp_path: Path) -> None:
    code, said = await handrail(world, tmp_path, "notifier", notifier_lease_seconds=0.4)
    assert code == 2
    assert said.splitlines()[-1] == (
        "HANDRAIL_NOTIFIER_LEASE_SECONDS: must be longer than HANDRAIL_PROVIDER_TIMEOUT_SECONDS"
    )


async def test_a_notifier_serves_its_figures(world: World, tmp_path: Path) -> None:
    await world.knows("ann", email="to_error_1")
    await world.enqueue("m-1", "ann")
    port = free_port()
    environment = settings_of(world, tmp_path, metrics_port=port).environment()
    service = Service("notifier", ["notifier"], folder=tmp_path, environment=environment)
    try:
        await service.start()
        await until(lambda: _state(world, "sent"))
        async with httpx.AsyncClient() as client:

            async def told() -> bool:
                text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                return all(
                    f'messages_total{{lane="transactional",outcome="{outcome}"}} 1.0' in text
                    for outcome in ("again", "sent")
                )

            await until(told)
    finally:
        await service.stop()


async def _state(world: World, state: str) -> bool:
    return set((await world.states()).values()) == {state}

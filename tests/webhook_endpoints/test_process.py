"""The dispatcher as the process it is: killed, it loses nothing, and another goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from handrail.dev.supervisor import Service
from runtime.settings import ShopSettings
from tests.commands import handrail
from tests.projections.world import until
from tests.webhook_endpoints.conftest import World, completed, confirmed, eventually_got
from tests.webhook_endpoints.receiver import receiving

pytestmark = pytest.mark.journey  # it starts whole processes

STREAMS = 60


def a_dispatcher(name: str, world: World, folder: Path, keys: Path) -> Service:
    settings = ShopSettings(
        database_url=world.url,
        database_role="handrail_dispatcher",
        data_dir=folder,
        auth="development",
        subject_keys_file=keys,
        dispatcher_timeout_seconds=1,
    )
    environment: Mapping[str, str] = settings.environment()
    return Service(name, ["dispatcher"], folder=folder, environment=environment)


async def test_a_dispatcher_that_is_killed_loses_nothing_and_keeps_each_stream_in_order(
    world: World, tmp_path: Path, key_file: Path
) -> None:
    first = a_dispatcher("first", world, tmp_path, key_file)
    second = a_dispatcher("second", world, tmp_path, key_file)
    async with receiving() as receiver:
        await receiver.is_slow(0.05)
        await world.register("m-1", receiver)
        await first.start()
        await world.append_to(
            "m-1", {f"order-{n}": [confirmed("1"), completed("1")] for n in range(STREAMS)}
        )
        await eventually_got(receiver, 20)
        await first.kill()
        assert len(receiver.got) < 2 * STREAMS, "it was killed while it had work"
        await second.start()
        try:
            await until(world.is_settled, seconds=60)
        finally:
            await second.stop()
    assert receiver.unverifiable == 0
    for stream, versions in receiver.streams().items():
        assert list(dict.fromkeys(versions)) == [1, 2], stream
    assert len(receiver.streams()) == STREAMS


async def test_a_dispatcher_without_a_key_file_says_which_setting_it_lacks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SUBJECT_KEYS_FILE")
    own = {"HANDRAIL_DATABASE_URL": world.url, "HANDRAIL_DATA_DIR": str(tmp_path)}
    async with asyncio.timeout(60):
        ended = await handrail("dispatcher", environment={**os.environ, **own})
    assert ended.code == 2
    assert ended.error.startswith("HANDRAIL_SUBJECT_KEYS_FILE: is needed here"), ended.error

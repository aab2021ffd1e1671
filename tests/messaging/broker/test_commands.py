"""The commands, as an operator has them; and a broker that begins with what was exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from tests.messaging.broker.house import House, a_house, password_of
from tests.runtime.conftest import Spawn, handrail, python, warm

pytestmark = pytest.mark.journey  # it starts whole processes

__all__ = ["handrail", "python", "warm"]  # fixtures


def settings_of(house: House, **more: str) -> dict[str, str]:
    return {
        "broker_url": house.server.url,
        "broker_management_url": house.server.management_url,
        "broker_passwords": ",".join(f"{one}={password_of(one)}" for one in house.declared.users),
        **more,
    }


async def told(run: Spawn, *arguments: str, **settings: str) -> tuple[int | None, str, str]:
    process = await run("topology", *arguments, **settings)
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def test_drift_is_an_exit_code_and_a_name_until_it_is_applied_away(
    house: House, handrail: Spawn
) -> None:
    settings = settings_of(house)
    await house.ask("DELETE", "queues/logistics/packing")
    await house.ask("PUT", "exchanges/finance/more", {"type": "topic"})

    code, out, _ = await told(handrail, "diff", "--json", **settings)
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert code == 1
    assert "queue logistics/packing" in figures["missing"]
    assert figures["unknown"] == ["exchange finance/more"]

    code, _, error = await told(handrail, "apply", "--prune", **settings)
    assert code == 0, error
    assert "made    queue logistics/packing" in error
    assert "deleted exchange finance/more" in error

    code, out, error = await told(handrail, "diff", **settings)
    assert code == 0, out + error


async def test_a_user_without_a_password_is_named(house: House, handrail: Spawn) -> None:
    settings = settings_of(house, broker_passwords="relay=x")

    code, _, error = await told(handrail, "diff", **settings)

    assert code == 2
    assert error.startswith("HANDRAIL_BROKER_PASSWORDS: lacks finance, ")


async def test_a_broker_that_is_not_there_is_an_error_without_its_password(
    house: House, handrail: Spawn
) -> None:
    nowhere = {"broker_management_url": "http://admin:hidden@127.0.0.1:1"}

    code, out, error = await told(handrail, "diff", **settings_of(house, **nowhere))

    assert code == 1
    assert "http://127.0.0.1:1 does not answer" in error
    assert "hidden" not in out + error


async def test_a_fresh_broker_that_imports_the_export_is_as_declared(
    house: House, handrail: Spawn, tmp_path: Path
) -> None:
    exporting = {
        "broker_url": "amqp://handrail:op@127.0.0.1:5672",
        "broker_management_url": "http://handrail:op@127.0.0.1:15672",
    }
    code, out, error = await told(handrail, "export", **settings_of(house, **exporting))
    assert code == 0, error
    file = tmp_path / "definitions.json"
    file.write_text(out)

    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "password").write_text("op")
    server = await EmbeddedRabbitMQ(tmp_path / "fresh", definitions=file).start()
    try:
        async with a_house(server) as fresh:
            unlike = await fresh.diff()
            assert not unlike.missing
            assert not unlike.extra
            # Exported for another address, so that federation looks for it there.
            assert {str(key) for key in unlike.different} == {
                f"upstream {host}/commerce" for host in ("finance", "logistics", "customers")
            }
            await fresh.apply()
            async with fresh.connected("finance", "finance") as connection:
                channel = await connection.channel()
                assert isinstance(await channel.get_queue("ledger"), aio_pika.Queue)
    finally:
        await server.kill()

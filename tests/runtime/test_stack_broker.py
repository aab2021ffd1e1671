"""A stack with a broker of its own: who is started, what each may know, and that events arrive."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import psutil
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.lock import joined
from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed
from handrail.dev.stack import Stack
from handrail.dev.supervisor import FailedToStart, wait_until
from handrail.messaging.broker.topology import topology
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.projections.world import until
from tests.runtime.conftest import Spawn

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(
        not is_installed() and os.environ.get("REQUIRE_BROKER") != "1",
        reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
    ),
]


@pytest.fixture
def stack(tmp_path: Path, database: str, temporal: WorkflowEnvironment) -> Stack:
    settings = ShopSettings(
        data_dir=tmp_path / "var",
        database_url=database,
        temporal_address=temporal.client.service_client.config.target_host,
        api_port=0,
    )
    return Stack(
        HANDRAIL,
        settings,
        workers=0,
        projectors=1,
        consumers=True,
        broker=True,
        api=False,
        simulators=False,
    )


def secrets_in(process: int) -> str:
    found = psutil.Process(process).environ()
    return " ".join(value for name, value in found.items() if name.startswith("HANDRAIL_BROKER"))


async def test_each_process_is_its_own_user_at_a_broker_as_declared_and_all_ends_with_the_stack(
    stack: Stack, handrail: Spawn
) -> None:
    users = {"relay-1": "relay"} | {f"consumer-{one.name}": one.vhost for one in HANDRAIL.consumers}
    async with stack:
        mine = [one for one in psutil.Process().children(recursive=True) if _of(one, stack)]
        services = [*stack.relays, *stack.consumers, *stack.projectors]
        assert {one.name for one in services} == {*users, "projector-1"}
        passwords = stack.settings.passwords_at_the_broker
        for service in services:
            known = secrets_in(service.pid)
            own = {users[service.name]} if service.name in users else set()
            assert {user for user, password in passwords.items() if password in known} == own

        await until(lambda: _taking_from_their_queues(stack), seconds=20)

        assert joined(ShopSettings(data_dir=stack.data_dir)).broker_passwords
        for command in ("diff", "status"):
            process = await handrail("topology", command, "--json", data_dir=str(stack.data_dir))
            out, error = await process.communicate()
            assert process.returncode == 0, error.decode() + out.decode()

    assert len(mine) > len(users) + 2
    assert await wait_until(lambda: not any(one.is_running() for one in mine), 10)


async def test_a_broker_that_is_as_nobody_declared_it_stops_the_stack_with_what_to_do(
    stack: Stack, tmp_path: Path
) -> None:
    server = await EmbeddedRabbitMQ(tmp_path / "theirs").start()
    settings = stack.settings.model_copy(
        update={"broker_url": server.url, "broker_management_url": server.management_url}
    )
    try:
        with pytest.raises(FailedToStart, match="HANDRAIL_BROKER_PASSWORDS: lacks relay, "):
            await Stack(HANDRAIL, settings, consumers=True, simulators=False).__aenter__()
        passwords = tuple(
            f"{user}=x" for user in topology(HANDRAIL.routing, HANDRAIL.consumers).users
        )
        with_passwords = settings.model_copy(update={"broker_passwords": passwords})
        async with httpx.AsyncClient(
            base_url=f"{server.management_url}/api/", trust_env=False
        ) as http:
            await http.put("vhosts/finance")
            await http.put("queues/finance/ledger", json={"durable": True})
        with pytest.raises(FailedToStart, match=r"queue finance/ledger: .* delete it"):
            await Stack(HANDRAIL, with_passwords, consumers=True, simulators=False).__aenter__()
    finally:
        await server.kill()


async def _taking_from_their_queues(stack: Stack) -> bool:
    url = f"{stack.settings.broker_management_url}/api/consumers"
    async with httpx.AsyncClient(trust_env=False) as http:
        found = {
            (one["queue"]["vhost"], one["queue"]["name"]) for one in (await http.get(url)).json()
        }
    return found >= {(one.vhost, one.queue) for one in HANDRAIL.consumers}


def _of(process: psutil.Process, stack: Stack) -> bool:
    try:
        return any(str(stack.data_dir) in value for value in process.environ().values())
    except psutil.Error:
        return False

"""`handrail deploy` and worker processes of two releases, on a real Temporal server."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from handrail.dev.temporal import server_program
from handrail.testing.environment import without_skipping
from handrail.testing.running_saga import eventually
from tests.controls import eur
from tests.runtime.conftest import Spawn
from tests.temporal import DATA_CONVERTER
from workflows.deliver_order import DeliverOrder, DeliverOrderWorkflow
from workflows.options import ShopOptions

NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Place:
    """Where the processes of one test meet."""

    client: Client
    settings: dict[str, str]
    python: Spawn
    handrail: Spawn
    folder: Path

    async def worker(self, build_id: str, name: str) -> Process:
        """A process that serves."""
        ready = self.folder / name
        process = await self.python(
            *("-m", "handrail.cli.main", "worker"),
            **self.settings,
            build_id=build_id,
            ready_file=str(ready),
        )
        await eventually(lambda: _serves(process, ready), f"{name} is ready")
        return process

    async def deploy(self, *arguments: str) -> tuple[int | None, dict[str, Any]]:
        process = await self.handrail("deploy", *arguments, "--json", **self.settings)
        out, error = await process.communicate()
        assert out, error.decode()
        said: dict[str, Any] = orjson.loads(out.splitlines()[-1])
        return process.returncode, said

    async def a_delivery(self) -> WorkflowHandle[Any, Any]:
        """A process that waits for what a carrier tells."""
        order = OrderId(f"order-{uuid4().hex[:8]}")
        asked = DeliverOrder(
            order=order,
            customer=CustomerId("customer-1"),
            merchant=MerchantId("merchant-1"),
            skus=(Sku("sku-1"),),
            total=eur(10),
        )
        return await self.client.start_workflow(
            DeliverOrderWorkflow.run,
            args=[asked, ShopOptions(), "a test"],
            id=f"delivery-{order}",
            task_queue=f"{self.settings['task_queue_prefix']}sagas",
        )


async def _serves(process: Process, ready: Path) -> bool:
    if process.returncode is not None:
        _, error = await process.communicate()
        pytest.fail(error.decode())
    return await asyncio.to_thread(ready.exists)


@pytest.fixture
def place(
    database: str, temporal: WorkflowEnvironment, python: Spawn, handrail: Spawn, tmp_path: Path
) -> Place:
    client = without_skipping(temporal, DATA_CONVERTER)
    settings = {
        "database_url": database,
        "temporal_address": client.service_client.config.target_host,
        "task_queue_prefix": f"{uuid4().hex[:8]}.",
        "deployment_name": f"tests-{uuid4().hex[:8]}",
        "bank_url": NOWHERE,
        "carrier_url": NOWHERE,
        "registry_url": NOWHERE,
        "subject_keys_file": os.environ["HANDRAIL_SUBJECT_KEYS_FILE"],
    }
    return Place(client, settings, python, handrail, tmp_path)


def answers(handle: WorkflowHandle[Any, Any], state: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        try:
            async with asyncio.timeout(5):
                return bool(await handle.query(DeliverOrderWorkflow.state) == state)
        except (TimeoutError, RPCError):
            return False

    return ask


async def version_of(handle: WorkflowHandle[Any, Any]) -> str:
    described = await handle.describe()
    info = described.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id


@pytest.mark.thorough
async def test_a_release_is_deployed_beside_the_one_before_and_a_worker_is_killed_meanwhile(
    place: Place,
) -> None:
    first, second = await asyncio.gather(place.worker("1.0", "a"), place.worker("1.0", "b"))
    code, said = await place.deploy("promote", "1.0", "--within", "60")
    assert (code, said["current"]) == (0, "1.0")
    delivery = await place.a_delivery()
    await eventually(answers(delivery, "booked"), "the process waits")
    newer = await place.worker("2.0", "c")
    code, said = await place.deploy("ramp", "2.0", "50", "--within", "60")
    assert (code, said["ramping"]) == (0, {"build_id": "2.0", "percent": 50})

    first.kill()
    await first.wait()
    await eventually(answers(delivery, "booked"), "another worker of 1.0, or 2.0, has it")

    code, said = await place.deploy("promote", "2.0", "--within", "60")
    assert (code, said["current"]) == (0, "2.0")
    code, said = await place.deploy("drain", "1.0", "--within", "120")
    assert code == 0
    assert {one["build_id"]: one["state"] for one in said["versions"]} == {
        "1.0": "drained",
        "2.0": "current",
    }
    second.send_signal(signal.SIGTERM)
    assert await second.wait() == 0
    assert await version_of(delivery) == "2.0"
    await eventually(answers(delivery, "booked"), "it goes on on 2.0")
    newer.send_signal(signal.SIGTERM)
    assert await newer.wait() == 0
    await delivery.terminate("a test")


async def test_a_version_that_has_no_worker_is_refused_with_what_to_do(place: Place) -> None:
    process = await place.handrail("deploy", "promote", "9.9", "--within", "0", **place.settings)
    _, error = await process.communicate()
    assert process.returncode == 1
    assert "Start a worker with HANDRAIL_BUILD_ID" in error.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        ("promote",),
        ("promote", "1.0", "--unversioned"),
        ("move", "--to", "1.0"),
        ("move", "saga", "--from", "1.0", "--to", "2.0"),
    ],
)
async def test_what_is_ambiguous_changes_nothing(place: Place, wrong: tuple[str, ...]) -> None:
    process = await place.handrail("deploy", *wrong, **place.settings)
    _, error = await process.communicate()
    assert process.returncode == 2
    assert "name a" in error.decode()


async def test_a_server_without_worker_deployments_is_named_as_such(place: Place) -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        dev_server_log_level="error",
        dev_server_extra_args=[
            *("--dynamic-config-value", "system.enableDeploymentVersions=false")
        ],
    ) as without:
        address = without.client.service_client.config.target_host
        process = await place.handrail(
            "deploy", "status", **{**place.settings, "temporal_address": address}
        )
        _, error = await process.communicate()
    assert process.returncode == 1
    assert "has no worker deployments" in error.decode()
    assert "leave HANDRAIL_BUILD_ID unset" in error.decode()

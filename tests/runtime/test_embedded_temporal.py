from __future__ import annotations

from pathlib import Path

import httpx
import psutil
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from handrail.dev.supervisor import FailedToStart
from handrail.dev.temporal import EmbeddedTemporal, search_attributes

pytestmark = pytest.mark.thorough


async def test_it_serves_its_namespace_with_the_search_attributes_and_a_ui(tmp_path: Path) -> None:
    async with EmbeddedTemporal(tmp_path, namespace="tests") as server:
        client = await Client.connect(server.address, namespace="tests")
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="tests")
        )
        async with httpx.AsyncClient() as http:
            page = await http.get(str(server.ui_url))

    assert {
        key.name: key.indexed_value_type for key in search_attributes("tenant")
    }.items() <= dict(listed.custom_attributes).items()
    assert page.status_code == 200


async def test_a_stop_leaves_no_process_and_a_restart_keeps_the_address(tmp_path: Path) -> None:
    server = EmbeddedTemporal(tmp_path, ui=False)
    await server.start()
    address, process = server.address, psutil.Process(server.pid)

    await server.stop()

    assert not process.is_running()
    assert server.ui_url is None
    await server.start()
    assert server.address == address
    await server.kill()


async def test_the_server_of_somebody_else_is_not_taken_for_ours(
    tmp_path: Path, temporal: WorkflowEnvironment
) -> None:
    port = int(temporal.client.service_client.config.target_host.rpartition(":")[2])

    with pytest.raises(FailedToStart, match=f"port {port}"):
        await EmbeddedTemporal(tmp_path, ui=False, port=port).start()

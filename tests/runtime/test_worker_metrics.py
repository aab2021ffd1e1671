"""Workers serve the metrics of Temporal's SDK where the settings say."""

from __future__ import annotations

import socket

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.supervisor import free_port
from handrail.processes.temporal_metrics import runtime_of
from handrail.refused_settings import BAD_SETTINGS
from handrail.temporal.connection import connect
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings


def test_there_are_none_without_a_port() -> None:
    assert runtime_of(ShopSettings()) is None


async def test_what_a_client_asks_temporal_is_counted(temporal: WorkflowEnvironment) -> None:
    port = free_port()
    settings = ShopSettings(
        temporal_address=temporal.client.service_client.config.target_host,
        metrics_host="localhost",
        metrics_port=port,
    )
    client = await connect(settings, HANDRAIL.codec, runtime=runtime_of(settings))
    await client.count_workflows("WorkflowType = 'Nothing'")
    async with httpx.AsyncClient() as asking:
        text = (await asking.get(f"http://127.0.0.1:{port}/metrics")).text
    [line] = [
        one
        for one in text.splitlines()
        if one.startswith("temporal_request_total{") and "CountWorkflowExecutions" in one
    ]
    assert line.endswith(" 1")


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_a_port_that_cannot_be_had_ends_the_process_with_the_variables(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = ShopSettings(metrics_host=host, metrics_port=taken.getsockname()[1])
        with pytest.raises(SystemExit) as ended:
            runtime_of(settings)
    assert ended.value.code == BAD_SETTINGS
    assert "HANDRAIL_METRICS_HOST, HANDRAIL_METRICS_PORT: " in capsys.readouterr().err

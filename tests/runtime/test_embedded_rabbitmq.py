from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from handrail.dev import rabbitmq
from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed
from handrail.dev.supervisor import FailedToStart

needs_server = pytest.mark.skipif(
    not is_installed() and os.environ.get("REQUIRE_BROKER") != "1",
    reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
)


def ask(url: str, method: str = "GET", body: object = None) -> httpx.Response:
    return httpx.request(method, url, json=body, trust_env=False)


def url_of_queues(server: EmbeddedRabbitMQ) -> str:
    return f"{server.management_url}/api/queues"


def mentions(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get("HOME") == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.mark.journey
@needs_server
async def test_brokers_do_not_meet_and_a_killed_one_starts_again_with_what_it_had(
    tmp_path: Path,
) -> None:
    one, other = EmbeddedRabbitMQ(tmp_path / "one"), EmbeddedRabbitMQ(tmp_path / "other")
    await asyncio.gather(one.start(), other.start())
    try:
        _keeps_its_secrets(one, other)
        url, management_url = one.url, one.management_url
        ask(f"{url_of_queues(one)}/%2F/kept", "PUT", {"durable": True}).raise_for_status()

        await one.kill()
        assert not one.running
        assert other.running
        left = [process for process in psutil.process_iter() if mentions(process, one.data_dir)]
        await asyncio.to_thread(psutil.wait_procs, left, 10)
        assert not [process for process in left if process.is_running()]

        await one.start()
        assert (one.url, one.management_url) == (url, management_url)
        assert [queue["name"] for queue in ask(url_of_queues(one)).json()] == ["kept"]
    finally:
        await other.kill()
        await one.kill()


def _keeps_its_secrets(one: EmbeddedRabbitMQ, other: EmbeddedRabbitMQ) -> None:
    for server in (one, other):
        for name in ("password", "rabbitmq.conf"):
            assert stat.S_IMODE((server.data_dir / name).stat().st_mode) == 0o600
    login, _, _ = one.management_url.rpartition("@")
    _, _, address = other.management_url.rpartition("@")
    assert ask(f"{login}@{address}/api/overview").status_code == httpx.codes.UNAUTHORIZED


async def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "_WHERE_IT_IS", "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FailedToStart, match="apt-get install rabbitmq-server"):
        await EmbeddedRabbitMQ(tmp_path).start()

from __future__ import annotations

import os
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from runtime.embedded import rabbitmq
from runtime.embedded.rabbitmq import EmbeddedRabbitMQ, is_installed
from runtime.supervisor import FailedToStart

needs_server = pytest.mark.skipif(
    not is_installed() and os.environ.get("HANDRAIL_REQUIRE_BROKER") != "1",
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


@needs_server
async def test_a_killed_broker_starts_again_on_its_ports_with_what_it_had(tmp_path: Path) -> None:
    server = await EmbeddedRabbitMQ(tmp_path).start()
    url, management_url = server.url, server.management_url
    ask(f"{url_of_queues(server)}/%2F/kept", "PUT", {"durable": True}).raise_for_status()

    await server.kill()
    assert not server.running
    left = [one for one in psutil.process_iter() if mentions(one, tmp_path)]
    psutil.wait_procs(left, timeout=10)
    assert not [one for one in left if one.is_running()]

    await server.start()
    try:
        assert (server.url, server.management_url) == (url, management_url)
        assert [one["name"] for one in ask(url_of_queues(server)).json()] == ["kept"]
    finally:
        await server.kill()


@needs_server
async def test_two_brokers_do_not_meet_and_their_secrets_are_private(tmp_path: Path) -> None:
    one, other = EmbeddedRabbitMQ(tmp_path / "one"), EmbeddedRabbitMQ(tmp_path / "other")
    await one.start()
    try:
        await other.start()
        for server in (one, other):
            for name in ("password", "rabbitmq.conf"):
                mode = (server.data_dir / name).stat().st_mode
                assert stat.S_IMODE(mode) == 0o600
        login, _, _ = one.management_url.rpartition("@")
        _, _, address = other.management_url.rpartition("@")
        assert ask(f"{login}@{address}/api/overview").status_code == httpx.codes.UNAUTHORIZED
    finally:
        await other.kill()
        await one.kill()


async def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "_WHERE_IT_IS", "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FailedToStart, match="apt-get install rabbitmq-server"):
        await EmbeddedRabbitMQ(tmp_path).start()

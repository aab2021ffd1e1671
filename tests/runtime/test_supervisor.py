from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil
import pytest

from handrail.dev.supervisor import Child, FailedToStart, Service, free_port, wait_until
from tests.runtime.conftest import Spawn

DEAF = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service("bank", ["bank", "--port", str(free_port())], folder=tmp_path, environment={})


async def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, appears: Callable[[Path], Awaitable[None]]
) -> None:
    child = Child(
        "deaf",
        [sys.executable, "-c", DEAF, str(tmp_path / "deaf")],
        log=tmp_path / "log",
        stop_seconds=0.1,
    )
    child.spawn()
    await appears(tmp_path / "deaf")

    assert await child.stop() == -signal.SIGKILL


async def test_a_child_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = Child("sad", [sys.executable, "-c", "exit('no luck')"], log=tmp_path / "log")
    child.spawn()

    async def never() -> bool:
        return False

    with pytest.raises(FailedToStart, match=r"sad ended with 1\nno luck"):
        await child.ready(never, seconds=30)


@pytest.mark.thorough
async def test_a_service_can_be_killed_and_started_again(service: Service) -> None:
    await service.start()
    first = service.pid

    await service.kill()
    assert service.returncode == -signal.SIGKILL
    await service.start()

    assert service.running
    assert service.pid != first
    assert await service.stop() == 0


@pytest.mark.thorough
async def test_a_service_is_in_a_session_of_its_own(service: Service) -> None:
    await service.start()

    assert os.getsid(service.pid) == service.pid

    await service.stop()


@pytest.mark.thorough
async def test_a_service_is_ready_only_when_it_answers(tmp_path: Path) -> None:
    port = free_port()
    service = Service("bank", ["bank", "--port", str(port)], folder=tmp_path, environment={})

    await service.start()

    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/")).status_code < 500
    await service.stop()


PARENT = """
import asyncio, pathlib, sys
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import EmbeddedTemporal
from handrail.dev.supervisor import Service

async def main():
    folder = pathlib.Path(sys.argv[1])
    service = Service("bank", ["bank"], folder=folder, environment={})
    postgres = EmbeddedPostgres(folder / "postgres")
    temporal = EmbeddedTemporal(folder / "temporal", ui=False)
    await asyncio.gather(service.start(), postgres.start(), temporal.start())
    (folder / "all").touch()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a death")
async def test_a_parent_killed_with_sigkill_leaves_no_child(
    tmp_path: Path, python: Spawn, appears: Callable[[Path], Awaitable[None]]
) -> None:
    parent = await python("-c", PARENT, str(tmp_path))
    await appears(tmp_path / "all")
    family = psutil.Process(parent.pid).children(recursive=True)
    names = set()
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
            names.add(each.name())
    assert {"postgres", "temporal"} < names

    parent.kill()
    await parent.wait()

    def gone(process: psutil.Process) -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    assert await wait_until(lambda: all(map(gone, family)), seconds=20)


def test_a_port_is_not_given_out_again_before_the_first_server_may_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = iter([7, 7, 8])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(numbers))
    assert free_port() != free_port()


def test_processes_that_begin_together_choose_from_different_ports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda _: 9)
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    one = free_port()
    monkeypatch.setattr(os, "getpid", lambda: 4712)
    assert one != free_port()

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from handrail.dev.supervisor import wait_until
from tests.commands import without_settings

ROOT = Path(__file__).parents[2]
Spawn = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def python(tmp_path: Path) -> AsyncIterator[Spawn]:
    """Starts Python with the given arguments, the shop's App, and no HANDRAIL_ variable but the
    given ones.
    """
    started: list[asyncio.subprocess.Process] = []

    async def spawn(*arguments: str, **settings: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=tmp_path,
            env={
                **without_settings(),
                "PYTHONPATH": str(ROOT),
                "HANDRAIL_APP": "runtime.app:HANDRAIL",
                "HANDRAIL_DATA_DIR": str(tmp_path / "var"),
                **{f"HANDRAIL_{name.upper()}": value for name, value in settings.items()},
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture(scope="session")
async def warm() -> AsyncIterator[Path]:
    """The address of a process that has imported what commands need (tests/warm/server.py)."""
    with TemporaryDirectory(prefix="handrail-warm-") as folder:
        address = Path(folder) / "socket"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.warm.server", str(address)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert await wait_until(address.exists, seconds=60), "no warm process"
        yield address
        process.stdin.close()
        await process.wait()


@pytest.fixture
def handrail(python: Spawn, warm: Path) -> Spawn:
    """Runs the console script, without importing everything each time."""
    client = str(ROOT / "tests" / "warm" / "client.py")

    async def spawn(*arguments: str, **settings: str) -> asyncio.subprocess.Process:
        return await python("-I", "-S", client, str(warm), *arguments, **settings)

    return spawn


@pytest.fixture
def console_script(python: Spawn) -> Spawn:
    """Starts the console script as a shell does."""

    async def spawn(*arguments: str, **settings: str) -> asyncio.subprocess.Process:
        return await python("-m", "handrail.cli.main", *arguments, **settings)

    return spawn


@pytest.fixture
def appears() -> Callable[[Path], Awaitable[None]]:
    async def wait(path: Path) -> None:
        assert await wait_until(path.exists, seconds=120), f"{path} never appeared"

    return wait

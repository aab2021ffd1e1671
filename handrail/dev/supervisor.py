"""Child processes that never outlive us: started, watched, stopped, or killed on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from handrail.dev.private_files import UMASK, private_folder
from handrail.setting_types import PREFIX
from handrail.settings import APP_VARIABLE

_LAUNCHER = Path(__file__).with_name("spawn.py")
_TICK = 0.01
_TRIES: Final = 21
_RANGES, _PORTS_OF_A_RANGE = 50, 300  # from 15000 to 30000
_given: Final = deque[int](maxlen=_PORTS_OF_A_RANGE // 3)
"""The ports that this process gave out last."""
OTEL = "OTEL_"


class FailedToStart(Exception):
    """A component did not come up. The message ends with the last lines of its log."""

    def __init__(self, component: str, why: str, log_tail: str = "") -> None:
        super().__init__(f"{component} {why}" + (f"\n{log_tail}" if log_tail else ""))
        self.component = component


class ComponentEnded(Exception):
    """A part of the stack ended, though nobody asked it to."""

    def __init__(self, name: str, log_tail: str) -> None:
        super().__init__(f"{name} ended unexpectedly\n{log_tail}")
        self.component = name


def free_port(preferred: int = 0) -> int:
    """A port of the loopback interface that nobody listens on, the preferred one if possible.

    Otherwise one below those that the system gives to outgoing connections: such a connection could
    take the port again before anybody listens on it. Processes that begin together choose from
    different ranges, and each gives out no port again soon: the other server may not listen yet.
    """
    for tried in range(_TRIES):
        port = preferred if preferred and not tried else _any_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _given.append(port)
            return port
    raise OSError("no free port on 127.0.0.1")


def _any_port() -> int:
    lowest = 15_000 + os.getpid() % _RANGES * _PORTS_OF_A_RANGE
    while (port := lowest + secrets.randbelow(_PORTS_OF_A_RANGE)) in _given:
        pass
    return port


async def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_TICK)
    return True


class Child:
    """One process of its own session, so that a Ctrl-C in the terminal reaches only us.

    Start it from a thread that lives as long as the process should: on Linux it is the death of
    the starting *thread* that the child is told about.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
        stop_seconds: float = 10,
        uid: int = -1,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._stop_signal = stop_signal
        self._death_signal = death_signal
        self._stop_seconds = stop_seconds
        self._uid = uid
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def spawn(self) -> None:
        if self.running:
            raise RuntimeError(f"{self.name} is already running, pid {self.pid}")
        private_folder(self.log.parent)
        with open(self.log, "ab", opener=_for_us_only) as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own
                [
                    *(sys.executable, "-I", "-S", str(_LAUNCHER)),
                    *(str(os.getpid()), str(int(self._death_signal)), str(self._uid)),
                    *self._command,
                ],
                env=inherited() if self._environment is None else self._environment,
                umask=UMASK,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def ready(self, probe: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until the probe says yes; a child that ends or takes too long is an error."""
        deadline = time.monotonic() + seconds
        while not await probe():
            if not self.running:
                raise FailedToStart(self.name, f"ended with {self.returncode}", self.log_tail())
            if time.monotonic() > deadline:
                raise FailedToStart(
                    self.name, f"was not ready within {seconds:g} s", self.log_tail()
                )
            await asyncio.sleep(_TICK)

    async def exited(self) -> int:
        await wait_until(lambda: not self.running, math.inf)
        return cast("int", self.returncode)

    async def stop(self) -> int | None:
        """Ask it to end; insist when it takes too long. Nothing happens when it is not running."""
        if self.running:
            self._signal(self._stop_signal)
            if not await wait_until(lambda: not self.running, self._stop_seconds):
                await self.kill()
        return self.returncode

    async def kill(self) -> None:
        """End it as a power cut would: nothing is flushed, nothing is said goodbye to."""
        if self.running:
            self._signal(signal.SIGKILL)
            await self.exited()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def inherited() -> dict[str, str]:
    """The environment of this process without settings: a child gets its own, or none. Nor does it
    get the variables of OpenTelemetry, which servers know, too.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name == APP_VARIABLE or not name.startswith((PREFIX, OTEL))
    }


def telemetry() -> dict[str, str]:
    """The variables of OpenTelemetry."""
    return {name: value for name, value in os.environ.items() if name.startswith(OTEL)}


def _for_us_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _library_path() -> dict[str, str]:
    """Where a child finds the library, when that is not installed but stands in a folder.

    The App's folder is in PYTHONPATH already where this process found it.
    """
    folder = str(_LAUNCHER.parents[2])
    if folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        return {}
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [*inherited, folder]))}


class Service(Child):
    """A process of ours: it says that it is ready by writing a file."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        ready_seconds: float = 30,
        stop_seconds: float = 10,
    ) -> None:
        self._ready_file = folder / "ready" / name
        self._ready_seconds = ready_seconds
        super().__init__(
            name,
            [sys.executable, "-m", "handrail.cli.main", *arguments],
            log=folder / "logs" / f"{name}.log",
            environment={
                **inherited(),
                **telemetry(),
                **environment,
                "HANDRAIL_READY_FILE": str(self._ready_file),
                **_library_path(),
            },
            stop_seconds=stop_seconds + 2,  # longer than it allows itself
        )

    async def start(self) -> None:
        private_folder(self._ready_file.parent)
        self._ready_file.unlink(missing_ok=True)
        self.spawn()

        async def wrote() -> bool:
            return self._ready_file.exists()

        await self.ready(wrote, self._ready_seconds)

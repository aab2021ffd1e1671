"""The processes of a release: started, drained and killed as a deployment does it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from handrail.dev.broker_users import PUBLISHING, consuming
from handrail.dev.stack import Stack
from handrail.dev.supervisor import Child, FailedToStart, free_port, inherited
from runtime.app import HANDRAIL
from tests.release_drill.releases import Release

_READY_WITHIN: Final = 180  # seconds; two releases and their servers share two cores
_STOPS_WITHIN: Final = 40  # seconds
_RAISES_AFTER: Final = 10
"""Seconds in which all live processes can read a newer form, before it is written."""


_BEHIND_THE_SERVERS: Final = 10
"""The niceness of a release: elsewhere servers have machines of their own."""
_STARTING: Final = 19
"""Its niceness until it is ready: elsewhere a release starts on machines of its own, too."""
_NICELY: Final = (shutil.which("nice") or "/usr/bin/nice", "-n", str(_STARTING))


class Servers(Stack):
    """PostgreSQL, Temporal, RabbitMQ and the companies; the release migrates its database."""

    def __init__(self, first: Release, settings: Any, folder: Path) -> None:
        super().__init__(
            HANDRAIL,
            settings,
            data_dir=folder,
            workers=0,
            projectors=0,
            broker=True,
            api=False,
            notifiers=1,  # which makes the provider one of the companies
            temporal_ui=False,
        )
        self._notifiers = 0
        self._first = first

    async def _migrate(self) -> None:
        await migrate(self, self._first)


async def migrate(servers: Stack, release: Release) -> None:
    """Raises FailedToStart."""
    settings = servers.settings.model_copy(
        update={"migration_database_url": str(servers.settings.owner_url)}
    )
    ended = await release.run(settings.known_to("migrate").environment(), "migrate")
    if ended.code:
        raise FailedToStart(
            "migrations", f"of {release.name} ended with {ended.code}", ended.printed + ended.logged
        )


class Process(Child):
    """A process of a release; it writes a file once it is ready."""

    def __init__(
        self, release: Release, name: str, arguments: Sequence[str], settings: Any, folder: Path
    ) -> None:
        self.ready_file = folder / "ready" / f"{release.name}-{name}"
        super().__init__(
            name,
            (*_NICELY, *release.command(*arguments)),
            log=folder / "logs" / f"{release.name}-{name}.log",
            environment={
                **inherited(),
                **settings.environment(),
                **release.environment,
                "HANDRAIL_READY_FILE": str(self.ready_file),
                "HANDRAIL_BUILD_ID": release.name,
                "HANDRAIL_RAISE_LEVELS_AFTER_SECONDS": str(_RAISES_AFTER),
            },
            stop_seconds=_STOPS_WITHIN,
        )

    async def start(self) -> None:
        """Raises FailedToStart."""
        self.ready_file.parent.mkdir(parents=True, exist_ok=True)
        self.ready_file.unlink(missing_ok=True)
        self.spawn()

        async def wrote() -> bool:
            return self.ready_file.exists()

        await self.ready(wrote, _READY_WITHIN)
        self._has_started()

    def _has_started(self) -> None:
        """Where only root may raise a priority, the release stays as it began."""
        with contextlib.suppress(PermissionError):
            for thread in Path(f"/proc/{self.pid}/task").iterdir():  # each has its own
                os.setpriority(os.PRIO_PROCESS, int(thread.name), _BEHIND_THE_SERVERS)


@dataclass
class Fleet:
    """All processes of one release. `api` is taken out of `serving` before it is stopped."""

    release: Release
    processes: Mapping[str, Process]
    url: str
    serving: list[str] = field(repr=False)

    async def start(self) -> None:
        """One after another, as a rolling deployment does, and the API last: one that answers has
        workers behind it.
        """
        for process in self.processes.values():
            await process.start()

    def serve(self) -> None:
        self.serving.append(self.url)

    async def stop(self) -> None:
        """As a deployment does: no new requests, then the end of what is under way."""
        if self.url in self.serving:
            self.serving.remove(self.url)
        await asyncio.gather(*(one.stop() for one in self.processes.values()))

    async def kill_and_start(self, name: str) -> None:
        await self.processes[name].kill()
        await self.processes[name].start()


def fleet(servers: Stack, release: Release, serving: list[str], folder: Path) -> Fleet:
    """One process of each kind, and two workers: where one is killed, sagas go on at the other."""
    port = free_port()

    def process(name: str, *arguments: str, user: str | None = None) -> Process:
        settings = servers.settings.known_to(
            arguments[0], user=user, login=":".join(arguments[:2])
        ).model_copy(update={"api_port": port, "metrics_port": None})
        return Process(release, name, arguments, settings, folder)

    processes = {
        "worker-1": process("worker-1", "worker"),
        "worker-2": process("worker-2", "worker"),
        "projector": process("projector", "projector"),
        "notifier": process("notifier", "notifier"),
        "relay": process("relay", "relay", user=PUBLISHING),
        **{
            f"consumer-{name}": process(f"consumer-{name}", "consumer", name, user=user)
            for name, user in consuming(HANDRAIL.consumers).items()
        },
        "api": process("api", "api"),
    }
    return Fleet(release, processes, f"http://127.0.0.1:{port}", serving)


@asynccontextmanager
async def ended(*fleets: Fleet) -> AsyncIterator[None]:
    """Whatever happens, no process stays."""
    try:
        yield
    finally:
        for one in fleets:
            for process in one.processes.values():
                await process.kill()

"""Runs a CLI command: a long-running service, or a job that ends by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from handrail import logs
from handrail.access.database_roles import OPERATOR
from handrail.cli.operator_act import OperatorAct, audited
from handrail.dev import job
from handrail.dev.lock import joined
from handrail.dev.private_files import UMASK
from handrail.load_app import load_settings
from handrail.process_exit import INTERRUPTED, leave
from handrail.refused_settings import require
from handrail.run_until_signalled import run_until_signalled
from handrail.secret_files import OURS
from handrail.settings import Settings, SettingsT
from handrail.tracing import export

Process = Callable[[Settings, asyncio.Event], Awaitable[Any]]
_log = structlog.get_logger("handrail")


def run_service(name: str, run: Process, *needs: str) -> int:
    """A process that serves until it is told to stop, and then finishes what it has begun."""
    os.umask(UMASK)
    settings = joined(load_settings()) if needs else load_settings()
    require(settings, *needs)
    kind, login = name.partition("-")[0], name.replace("-", ":", 1)
    settings = settings.known_to(kind, login=login) if kind in OURS else settings.as_process(None)
    logs.configure(settings, name)
    export.start(name)
    if settings.ready_file:
        settings.ready_file.unlink(missing_ok=True)

    async def work(stop: asyncio.Event) -> int:
        serving = asyncio.ensure_future(run(settings, stop))
        asked = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await asyncio.wait({serving}, timeout=settings.shutdown_seconds + 1)
        if not serving.done():
            _log.error("did not finish in time", seconds=settings.shutdown_seconds)
            leave(1)
        serving.result()
        _log.info("stopped")
        return 0

    return run_until_signalled(work)


def run_job(
    settings: SettingsT,
    name: str,
    work: Callable[[SettingsT], Awaitable[int]],
    *,
    interrupted: int = INTERRUPTED,
    act: OperatorAct | None = None,
    audit: SettingsT | None = None,
) -> int:
    """A process with an end of its own; told to stop earlier, it cleans up and says so.

    What is an `act` of an operator is stored before it is done, as `audit` says, or else the
    settings.
    """
    if act is None:
        return job.run(settings, name, work, interrupted=interrupted)

    async def begun(settings: SettingsT) -> int:
        return await audited(audit or settings, act, lambda _: work(settings))

    return job.run(settings, name, begun, interrupted=interrupted)


def run_database_job(
    name: str,
    work: Callable[[Settings], Awaitable[int]],
    *,
    role: str = OPERATOR,
    act: OperatorAct | None = None,
) -> int:
    """A job in the database that the settings, or the running stack, name: as the operator, or with
    the login of the process whose work it does. An `act` is stored before it is done.
    """
    settings = joined(load_settings())
    require(settings, "database_url")
    given = settings.database_url_of(role)
    of_role = settings.model_copy(update={"database_url": given})
    return run_job(of_role, name, work, act=act, audit=settings)

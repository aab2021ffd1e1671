"""Runs a CLI command: a long-running service, or a job that ends by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from handrail import logs
from handrail.access.database_roles import OPERATOR
from handrail.cli.operator_act import OperatorAct, audited
from handrail.dev.lock import StackAlreadyRunning, joined
from handrail.dev.private_files import UMASK
from handrail.dev.supervisor import ComponentEnded, FailedToStart
from handrail.load_app import load_settings
from handrail.process_exit import INTERRUPTED, leave
from handrail.refused_settings import require
from handrail.secret_files import OURS
from handrail.settings import Settings, SettingsT
from handrail.tracing import export

Process = Callable[[Settings, asyncio.Event], Awaitable[Any]]
_log = structlog.get_logger("handrail")
_WHICH_LOGIN: Final = (
    "HANDRAIL_DATABASE_URL has a login that may not; docs/database.md says which does what"
)


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

    return _run_or_say(work)


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
    os.umask(UMASK)
    logs.configure(settings, name)

    async def begun() -> int:
        if act is None:
            return await work(settings)
        return await audited(audit or settings, act, lambda _: work(settings))

    async def run(stop: asyncio.Event) -> int:
        working = asyncio.ensure_future(begun())
        asked = asyncio.ensure_future(stop.wait())
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.wait({working})
        return interrupted if working.cancelled() else working.result()

    try:
        return _run_or_say(run)
    except (FailedToStart, StackAlreadyRunning, ComponentEnded) as error:
        print(error, file=sys.stderr)
        return 1


def _run_or_say(work: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    """A store that may not be used is not a fault of this program: its sentence is enough."""
    try:
        return _run(work)
    except Exception as error:
        from handrail.eventstore.identity import refused_in  # noqa: PLC0415  # it loads SQLAlchemy

        if refused := refused_in(error):
            print(refused, file=sys.stderr)
            return 1
        from handrail.eventstore.write_levels import CannotRead  # noqa: PLC0415  # the same

        if isinstance(error, CannotRead):
            print(error, file=sys.stderr)
            return 1
        if unread := _unread(error):
            print(
                f"{unread} is of a newer release: this takes the command of that", file=sys.stderr
            )
            return 1
        if denied := _denied(error):
            print(f"{denied}: {_WHICH_LOGIN}", file=sys.stderr)
            return 1
        raise


def _unread(error: BaseException) -> str:
    """Which form of an event this code does not know, where that is the cause."""
    from handrail.eventstore.codec import UnknownMessage  # noqa: PLC0415  # few commands read events

    return str(error) if isinstance(error, UnknownMessage) else ""


def _denied(error: BaseException | None) -> str:
    """What the database says that this login may not do."""
    from psycopg.errors import InsufficientPrivilege  # noqa: PLC0415  # few commands need it

    while error is not None:
        original = getattr(error, "orig", error)
        if isinstance(original, InsufficientPrivilege):
            return str(original).partition("\n")[0]
        error = error.__cause__ or error.__context__
    return ""


def _run(work: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    async def with_signals() -> int:
        stop = asyncio.Event()

        def on_signal() -> None:
            if stop.is_set():  # asked twice: children are told by the kernel
                leave(INTERRUPTED)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        return await work(stop)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(with_signals())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  # where there is one
    except ImportError:  # it does not exist for every platform
        return None
    return uvloop.new_event_loop


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

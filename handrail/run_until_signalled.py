"""Runs the work of a command in an event loop, and hands it the signals to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from handrail.process_exit import INTERRUPTED, leave

_WHICH_LOGIN: Final = (
    "HANDRAIL_DATABASE_URL has a login that may not; docs/database.md says which does what"
)


def run_until_signalled(work: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    """The exit code of `work`, whose event is set by SIGINT and SIGTERM.

    A store that may not be used is not a fault of this program: its sentence is enough.
    """
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

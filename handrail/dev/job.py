"""Runs a job that ends by itself, and may have servers and processes of its own meanwhile."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from handrail import logs
from handrail.dev.lock import StackAlreadyRunning
from handrail.dev.private_files import UMASK
from handrail.dev.supervisor import ComponentEnded, FailedToStart
from handrail.process_exit import INTERRUPTED
from handrail.run_until_signalled import run_until_signalled
from handrail.settings import SettingsT


def run(
    settings: SettingsT,
    name: str,
    work: Callable[[SettingsT], Awaitable[int]],
    *,
    interrupted: int = INTERRUPTED,
) -> int:
    """The exit code of `work`; told to stop earlier, it is cancelled, and `interrupted` the code.
    1 where a server or a process of it does not start, or ends by itself.
    """
    os.umask(UMASK)
    logs.configure(settings, name)

    async def until(stop: asyncio.Event) -> int:
        working = asyncio.ensure_future(work(settings))
        asked = asyncio.ensure_future(stop.wait())
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.wait({working})
        return interrupted if working.cancelled() else working.result()

    try:
        return run_until_signalled(until)
    except (FailedToStart, StackAlreadyRunning, ComponentEnded) as error:
        print(error, file=sys.stderr)
        return 1

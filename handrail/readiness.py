"""What a process says when it serves."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import structlog

from handrail.settings import Settings

_SELDOM: Final = (10_000, 10, 2)
"""Objects, and rounds of the generation before, after which cycles are looked for. The last is low,
because a workflow that has left the worker's memory is one cycle, as old as its last task.
"""
_log = structlog.get_logger(__name__)


def ready(settings: Settings, address: str = "") -> None:
    """Log one `ready` line, and write the ready file that a supervisor waits for."""
    seldom_collect()
    _log.info("ready", **({"address": address} if address else {}))
    if settings.ready_file:
        partial = settings.ready_file.with_suffix(".partial")
        partial.write_text(address)
        partial.replace(settings.ready_file)  # whoever sees it, sees all of it


async def ready_after(settings: Settings, *events: asyncio.Event) -> None:
    """`ready`, once each of the events was set."""
    for each in events:
        await each.wait()
    ready(settings)


def seldom_collect() -> None:
    """What there is now stays for as long as the process: nobody looks for cycles in it any more,
    and less often in what comes after.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_SELDOM)


def not_ready(settings: Settings) -> None:
    """For a while; `ready` says when it is over."""
    _log.warning("not ready")
    if settings.ready_file:
        settings.ready_file.unlink(missing_ok=True)

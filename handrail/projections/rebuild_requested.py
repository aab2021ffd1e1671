"""Build read models anew where an operator requested it over HTTP: with the owner's login."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Connection

from handrail.access.database_roles import DatabaseRoles
from handrail.eventstore.periodic_task import run_periodically
from handrail.projections import rebuild_requests
from handrail.projections.install import owner_engine
from handrail.projections.projection import Projection
from handrail.projections.rebuild import UnknownReadModel, rebuild

LOOKS: Final = 1.0
"""Seconds between two looks for requests."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


async def rebuild_requested(
    url: str,
    role: str | None,
    projections: Sequence[Projection[Any]],
    roles: DatabaseRoles,
) -> int:
    """Work off the requests, the oldest first; answers how many were settled. One that this is
    cancelled in goes on with the next call, in whichever process that is.
    """
    settled = 0
    for one in await _with_owner(url, rebuild_requests.unsettled):
        await _with_owner(url, partial(rebuild_requests.begun, name=one.name))
        failed = ""
        try:
            await rebuild(url, role, [one.name], projections, roles)
        except UnknownReadModel as unknown:
            failed = str(unknown)
        settle = partial(rebuild_requests.settle, name=one.name, failed=failed)
        await _with_owner(url, settle)
        settled += 1
        _log.info(
            "read model built as requested",
            projection=one.name,
            actor=one.actor,
            failed=failed or None,
        )
    return settled


async def keep_rebuilding(
    url: str,
    role: str | None,
    projections: Sequence[Projection[Any]],
    roles: DatabaseRoles,
) -> None:
    """Look every second: until it is cancelled."""
    look = partial(rebuild_requested, url, role, projections, roles)
    await run_periodically(look, LOOKS, _log, "a requested rebuild is not done yet")


async def _with_owner(url: str, work: Callable[[Connection], T]) -> T:
    def run() -> T:
        engine = owner_engine(url)
        try:
            with engine.begin() as connection:
                return work(connection)
        finally:
            engine.dispose()

    return await asyncio.to_thread(run)

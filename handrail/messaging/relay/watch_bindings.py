"""Refreshes what queues are bound to, in the background: the relay never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from handrail.eventstore.codec import Codec
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.messaging.broker.form_bindings import Reader, readers_in
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from handrail.messaging.contracts.form_readers import forms_read, note
from handrail.messaging.relay.bound_forms import Bindings
from handrail.messaging.relay.routing import Routing

_log = structlog.get_logger(__name__)

REFRESH: Final = 10.0
"""Seconds between two looks: how long a queue may be bound before it gets its form."""
_ANSWERS: Final = 10.0
_MOST: Final = 100_000
_IN_ALL: Final = "every event that has several forms is published in all of them"


async def watch_bindings(
    bindings: Bindings,
    management: Callable[[], Management] | None,
    pool: Pool,
    codec: Codec,
    routing: Routing,
    *,
    seconds: float = REFRESH,
) -> None:
    """Until it is cancelled. Where the API does not answer, the bindings are unknown at once: a
    queue may be bound meanwhile. `management` is asked for a connection at each look, since a
    password may change; None: there is no API to be asked.
    """
    if not codec.lineages.changes:
        return
    if management is None:
        _log.warning(_IN_ALL, remedy="set HANDRAIL_BROKER_BINDINGS_URL")
        return
    said = ""

    async def look() -> None:
        nonlocal said
        try:
            bindings.readers = await _found(management, routing, bindings.readers)
        except Exception as error:  # noqa: BLE001  # what a broker may answer has no bound
            bindings.readers, cause = None, f"{type(error).__name__}: {error}"
            if cause != said:
                _log.warning(f"bindings are not known: {_IN_ALL}", error=cause)
            said = cause
            return
        if said:
            _log.info("bindings are known again")
        said = ""
        async with pool.connection() as connection:
            await note(connection, forms_read(bindings.readers, codec.lineages, routing))

    # People read what is noted, and no process.
    await run_periodically(look, seconds, _log, "readers of forms are not noted")


async def _found(
    management: Callable[[], Management], routing: Routing, before: Sequence[Reader] | None
) -> Sequence[Reader]:
    """The same object as before where nothing changed: what was made from it stays."""
    async with asyncio.timeout(_ANSWERS), management() as api:
        found = await api.bindings()
    if len(found) > _MOST:
        raise BrokerSaidNo(f"{len(found)} bindings, and {_MOST} are looked at at most")
    readers = readers_in(found, routing.broker)
    return before if before is not None and readers == before else readers

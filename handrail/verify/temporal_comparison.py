"""Holds Temporal and the stores against each other, while both move.

A workflow moves a little before or after the stores do, so a difference has to last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.kernel import stream_name
from handrail.projections.projection import id_of
from handrail.verify.saga_facts import parked_steps
from handrail.verify.violations import Violation
from handrail.verify.workflow_states import WorkflowStates
from runtime.verify.evidence import Evidence
from runtime.verify.processes import needed, parked_in_temporal, processes_run

_LOOKS: Final = 3
_SECONDS_BETWEEN_LOOKS: Final = 0.5


async def ask_temporal(states: WorkflowStates, live: Connection, page: Sequence[Evidence]) -> None:
    """Add the workflows to the evidence; None where an id has moved on since the stores were read.

    `live` is a connection outside of the transaction in which they were.
    """
    for one in page:
        one.workflows = {}
    left = [one for one in page if any(needed(one))]
    async for _ in _looks():
        found = await states.of(id_ for one in left for id_ in needed(one))
        for one in left:
            one.workflows = {id_: found[id_] for id_ in needed(one) if id_ in found}
        left = [one for one in left if any(_differences(one))]
        if not left:
            return
    for one in left:
        if await _has_moved_on(live, one):
            one.workflows = None


async def parked_in_stores(
    states: WorkflowStates, live: Connection, codec: Codec
) -> AsyncIterator[Violation]:
    """A saga that is parked in Temporal is parked in its stream, too, where the board has it."""
    async for some in states.parked():
        left = list(some)
        async for _ in _looks():
            stories = await _stories(live, codec, left)
            now = await states.of(left)
            # Processes around sagas park, too, and have no stream of their own.
            left = [
                id_
                for id_, story in stories.items()
                if id_ in now and now[id_].parked and now[id_].running and not parked_steps(story)
            ]
            if not left:
                break
        for id_ in left:
            yield Violation(f"saga {id_}: parked in Temporal, but not in its stream")


async def _looks() -> AsyncIterator[None]:
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        yield


def _differences(evidence: Evidence) -> Iterator[Violation]:
    yield from processes_run(evidence)
    yield from parked_in_temporal(evidence)


async def _has_moved_on(live: Connection, evidence: Evidence) -> bool:
    rows = await live.execute(
        "SELECT name, version FROM streams WHERE name = ANY(%s)", (list(evidence.heads),)
    )
    return dict(await rows.fetchall()) != evidence.heads


async def _stories(
    live: Connection, codec: Codec, sagas: Sequence[str]
) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = {}
    rows = await live.execute(
        "SELECT stream, type, schema, data FROM events WHERE stream = ANY(%s)"
        " ORDER BY stream, version",
        ([stream_name("saga", saga) for saga in sagas],),
    )
    for stream, type_, schema, data in await rows.fetchall():
        found.setdefault(id_of(stream), []).append(codec.decode(type_, schema, data))
    return found

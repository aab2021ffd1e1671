"""Holds Temporal and the stores against each other, while both move.

A workflow moves a little before or after the stores do, so a difference has to last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Generic

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.kernel import stream_name
from handrail.projections.projection import id_of
from handrail.verify.evidence import SagaEvidence
from handrail.verify.saga_facts import parked_steps
from handrail.verify.violations import EvidenceT, Invariant, Violation
from handrail.verify.workflow_states import WorkflowStates

_LOOKS: Final = 3
_SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True)
class Compared(Generic[EvidenceT]):
    """What is asked of Temporal for an id: the ids of workflows, and what must be true of them."""

    needed: Callable[[EvidenceT], Iterator[str]]
    invariants: Sequence[Invariant[EvidenceT]]

    def differences(self, evidence: EvidenceT) -> Iterator[Violation]:
        return chain.from_iterable(one(evidence) for one in self.invariants)


async def ask_temporal(
    states: WorkflowStates,
    live: Connection,
    page: Sequence[EvidenceT],
    compared: Compared[EvidenceT],
) -> None:
    """Add the workflows to the evidence; None where an id has moved on since the stores were read.

    `live` is a connection outside of the transaction in which they were.
    """
    for one in page:
        one.workflows = {}
    left = [one for one in page if any(compared.needed(one))]
    async for _ in _tries():
        found = await states.of(id_ for one in left for id_ in compared.needed(one))
        for one in left:
            one.workflows = {id_: found[id_] for id_ in compared.needed(one) if id_ in found}
        left = [one for one in left if any(compared.differences(one))]
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
        async for _ in _tries():
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


async def _tries() -> AsyncIterator[None]:
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        yield


async def _has_moved_on(live: Connection, evidence: SagaEvidence) -> bool:
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

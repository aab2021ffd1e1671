"""Work off the events that were parked for a row, once what was wrong is put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from handrail.eventstore import parked_events
from handrail.eventstore.codec import Codec
from handrail.eventstore.parked_events import Parked
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import shard_of
from handrail.eventstore.tokens import UnknownProjection
from handrail.projections import row_store
from handrail.projections.apply_page import Work, store_each
from handrail.projections.fold import read
from handrail.projections.projection import Projection, id_of
from handrail.projections.read_model import ReadModel, read_models

CHUNK: Final = 500


@dataclass(frozen=True)
class Retried:
    """`stopped_by` is the event that still cannot be applied; None when all was worked off."""

    applied: int
    stopped_by: Parked | None


async def retry(
    pool: Pool,
    projection: str,
    stream: str,
    projections: Sequence[Projection[Any]],
    codec: Codec,
) -> Retried:
    """Apply in order what is parked for the row of this stream, and what came meanwhile.

    As long as something is left, new events for the row keep parking behind it; with the last one
    the row is the runner's again. Raises UnknownProjection, also for a read model of a version that
    is not this code's.
    """
    applied = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            model = await _alone(connection, projection, stream, projections)
            waiting = await parked_events.lock_first(
                connection, [model.name], streams_of(model, stream), CHUNK
            )
            events = [read(recorded, codec) for _, recorded in waiting]
            asked = await row_store.ask(connection, {model: [id_of(stream)]})
            rows = (await row_store.found(asked, [model])).rows[model.name]
            done = await store_each(connection, Work(model, events), rows, set())
            still_parked = {event.position for event in done.parked}
            positions = {event.recorded.position for event in events} - still_parked
            await parked_events.release(
                connection, model.name, streams_of(model, stream), positions
            )
            applied += len(positions)
            if done.parked:
                first = done.parked[0]
                await parked_events.park_again(connection, model.name, first)
                return Retried(applied, first)
        if len(events) < CHUNK:
            return Retried(applied, None)


async def _alone(
    connection: Connection, name: str, stream: str, projections: Sequence[Projection[Any]]
) -> ReadModel[Any]:
    """The read model, with the runner kept out of this shard of it until the transaction ends."""
    model = read_models(projections).get(name)
    cursor = await connection.execute(
        "SELECT m.version FROM checkpoints c JOIN read_models m ON m.name = c.projection"
        " WHERE c.projection = %s AND c.shard = %s FOR UPDATE OF c",
        (name, shard_of(stream)),
    )
    found = await cursor.fetchone()
    if model is None or found is None or found[0] != model.projection.version:
        raise UnknownProjection(f"{name}, in the version that is in use")
    return model


def streams_of(model: ReadModel[Any], stream: str) -> Sequence[str]:
    """All streams that make the row which this stream is part of."""
    return [f"{category}-{id_of(stream)}" for category in model.projection.categories]

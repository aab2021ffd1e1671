"""What a process was begun with: as Temporal keeps it, and as the saga's own stream tells for ever.

Temporal forgets a workflow some days after it was closed. The stream never does, and holds the
input of attempts that began since events have had room for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import TextClause, text
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from handrail.eventstore.codec import Codec
from handrail.http.database import Database
from handrail.http.temporal_errors import RPC, temporal_reachable
from handrail.kernel import Event, stream_name
from handrail.sagas.events import Ending, SagaEnded, SagaStarted

T = TypeVar("T")

_ATTEMPTS: Final[TextClause] = text("""
SELECT e.type, e.schema, e.data FROM events e
WHERE e.stream = :stream AND e.type IN ('SagaStarted', 'SagaEnded')
ORDER BY e.version
""")


@dataclass(frozen=True, kw_only=True)
class LastAttempt:
    """The newest attempt that has begun; `ending` is None where it has not ended.

    `input` is the JSON of what its workflow was begun with, and empty where the stream has none.
    """

    number: int
    ending: Ending | None
    saga_type: str
    tenant: str
    shape: int
    input: str


async def last_attempt(database: Database, codec: Codec, saga: str) -> LastAttempt | None:
    """None where no attempt at such a saga has ever begun."""
    asked = {"stream": stream_name("saga", saga)}
    async with database.connection() as connection:
        rows = (await connection.execute(_ATTEMPTS, asked)).all()
    story = [codec.decode(type_, schema, data) for type_, schema, data in rows]
    return newest_attempt(story)


def newest_attempt(story: Sequence[Event]) -> LastAttempt | None:
    """As a saga's own stream tells it."""
    begun = [one for one in story if isinstance(one, SagaStarted)]
    if not begun:
        return None
    newest = max(begun, key=lambda one: one.attempt)
    ended = {one.attempt: one.ending for one in story if isinstance(one, SagaEnded)}
    return LastAttempt(
        number=newest.attempt,
        ending=ended.get(newest.attempt),
        saga_type=newest.saga_type,
        tenant=newest.tenant,
        shape=newest.shape,
        input=newest.input,
    )


@dataclass(frozen=True)
class BegunWith:
    """The type of a workflow, and the arguments of its last run."""

    client: Client
    workflow_type: str
    arguments: Sequence[Payload]

    async def argument(self, place: int, type_: type[T]) -> T:
        [found] = await self.client.data_converter.decode([self.arguments[place]], [type_])
        value: T = found
        return value


async def begun_with(client: Client, id_: str) -> BegunWith | None:
    """None where there never was such a workflow, or Temporal has forgotten it."""
    try:
        async with temporal_reachable():
            found = await client.get_workflow_handle(id_).describe(rpc_timeout=RPC)
            run = client.get_workflow_handle(id_, run_id=found.run_id)
            async for event in run.fetch_history_events(page_size=1, rpc_timeout=RPC):
                begun: Any = event.workflow_execution_started_event_attributes
                return BegunWith(client, begun.workflow_type.name, begun.input.payloads)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return None

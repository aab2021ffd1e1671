"""Asking a context for one thing, and a saga's stream for how it ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from temporalio.client import Client

from handrail.kernel import Command, context_of, stream_name
from handrail.sagas.events import SagaEnded
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import Running
from runtime.app import HANDRAIL

T = TypeVar("T")


class Place(Protocol):
    """Where contexts are at work."""

    @property
    def client(self) -> Client: ...

    @property
    def queue_prefix(self) -> str: ...


async def does(at: Place, command: Command) -> Answer:
    """Have one command done by its context, as the API does."""
    name, today = type(command).__name__, datetime.now(UTC).date()
    key = StepKey(saga=f"request-{uuid4().hex}", attempt=1, step=name, opened_on=today)
    asked = StepContext(key=key, actor="a test", alone=True)
    return await asks(at, name, [command, asked], Answer, context_of(type(command)))


async def reads(at: Place, activity: str, arguments: list[Any], type_: type[T]) -> T:
    return await asks(at, activity, arguments, type_, "sagas")


async def how_it_ended(saga: Running) -> SagaEnded:
    """Of its only attempt."""
    async with saga.world.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT type, schema, data FROM events WHERE stream = %s AND type = %s",
            (stream_name("saga", saga.id), SagaEnded.__name__),
        )
        [ended] = [HANDRAIL.codec.decode(*row) for row in await rows.fetchall()]
    assert isinstance(ended, SagaEnded)
    return ended


async def asks(at: Place, name: str, arguments: list[Any], type_: type[T], queue: str) -> T:
    """Run an activity on the queue of this name. Raises ActivityFailureError as it fails."""
    answer: T = await at.client.execute_activity(
        name,
        args=arguments,
        id=uuid4().hex,
        task_queue=at.queue_prefix + queue,
        result_type=type_,
        schedule_to_close_timeout=timedelta(seconds=A_LONG_TIME),
    )
    return answer

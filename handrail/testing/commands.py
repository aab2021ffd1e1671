"""Runs one command, or one activity, on the workers of an environment, without a saga."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from temporalio.client import Client

from handrail.kernel import Command, context_of
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.testing.faults import A_LONG_TIME

T = TypeVar("T")


class Workplace(Protocol):
    """Where the contexts are at work, such as an Environment."""

    @property
    def client(self) -> Client: ...

    @property
    def queue_prefix(self) -> str: ...


async def execute_command(at: Workplace, command: Command) -> Answer:
    """Have its context serve one command, as the API does. Raises ActivityFailureError."""
    name, today = type(command).__name__, datetime.now(UTC).date()
    key = StepKey(saga=f"request-{uuid4().hex}", attempt=1, step=name, opened_on=today)
    context = StepContext(key=key, actor="a test", alone=True)
    return await execute_activity(at, name, [command, context], Answer, context_of(type(command)))


async def execute_activity(
    at: Workplace, name: str, arguments: list[Any], type_: type[T], queue: str
) -> T:
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

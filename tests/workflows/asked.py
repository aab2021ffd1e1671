"""Asking a context for one thing, and a saga's stream for how it ended."""

from __future__ import annotations

from typing import Any, TypeVar

from handrail.kernel import stream_name
from handrail.sagas.events import SagaEnded
from handrail.testing.commands import Workplace, execute_activity, execute_command
from handrail.testing.running_saga import Running
from runtime.app import HANDRAIL

T = TypeVar("T")

does = execute_command
asks = execute_activity


async def reads(at: Workplace, activity: str, arguments: list[Any], type_: type[T]) -> T:
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

"""Handle a page of events for a consumer, in the transaction that moves what was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from handrail.eventstore.checkpoints import LostLease
from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.failure_kind import cause_of, is_of_the_database
from handrail.messaging.consumers.inbox import park, receive, receive_all
from handrail.messaging.envelope import Received

_log = structlog.get_logger(__name__)

_TRIES: Final = 3
Moved = TypeVar("Moved")


async def handle_page(
    connection: Connection,
    consumer: Consumer,
    messages: Sequence[Received],
    move: Callable[[], Awaitable[Moved]],
) -> Moved:
    """Answers what `move` does, which comes first in the transaction of the effects.

    Where a message fails the page is handled one by one, and what still fails is parked. Raises
    what `move` raises, and the error of a database that is at fault.
    """
    try:
        async with connection.transaction():
            moved = await move()
            if messages:
                await receive_all(connection, consumer, messages, from_feed=True)
    except Exception as error:
        if not _is_of_a_message(connection, error):
            raise
        _log.info("page is handled one by one", consumer=consumer.name, error=cause_of(error))
        async with connection.transaction():
            moved = await move()
            for received in messages:
                await handle_or_park(connection, consumer, received, from_feed=True)
    return moved


async def wait_for_newer_code(
    connection: Connection, consumer: Consumer, received: Received, error: UnknownMessage
) -> None:
    """Set the message aside: it, or what is read to handle it, is of newer code."""
    await park(connection, consumer, received, cause_of(error), 0)
    _log.warning(
        "waits for newer code",
        consumer=consumer.name,
        id=received.id,
        form=str(error),
        remedy="start a process whose code reads it; see docs/newer-code.md",
    )


async def handle_or_park(
    connection: Connection, consumer: Consumer, received: Received, *, from_feed: bool = False
) -> None:
    """What is of newer code waits for it, apart from what failed.

    Raises the error of a database that is at fault. For `from_feed` see `receive_all`.
    """
    for _ in range(_TRIES):
        try:
            await receive(connection, consumer, received, from_feed=from_feed)
        except UnknownMessage as error:
            await wait_for_newer_code(connection, consumer, received, error)
            return
        except Exception as error:
            if not _is_of_a_message(connection, error):
                raise
            cause = cause_of(error)
        else:
            return
    await park(connection, consumer, received, cause, _TRIES)
    _log.error("message parked", consumer=consumer.name, id=received.id, cause=cause)


def _is_of_a_message(connection: Connection, error: Exception) -> bool:
    return not (connection.closed or isinstance(error, LostLease) or is_of_the_database(error))

"""Handle messages until they are handled, parked, or nobody wants to know any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog
from psycopg.errors import DataError

from handrail.background import wait_at_most
from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.pool import Pool
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.failure_kind import cause_of, is_of_the_database
from handrail.messaging.consumers.inbox import Outcome, park, receive, receive_all
from handrail.messaging.consumers.lost_messages import without_lost
from handrail.messaging.consumers.pages import wait_for_newer_code
from handrail.messaging.envelope import Received

_log = structlog.get_logger(__name__)

_LONGEST_REST: Final = 2.0
_CONNECT: Final = 2.0
"""Seconds to wait for a connection. Who waits longer does not see that the database is back."""


@dataclass
class Counted:
    """Since the process began."""

    handled: int = 0
    duplicates: int = 0
    parked: int = 0
    waiting: int = 0
    """Set aside: they wait for newer code."""
    passed_over: int = 0
    """Not wanted: a binding that is too wide."""
    lost: int = 0
    """Of events that the store has lost."""
    rejected: int = 0
    """No events at all: they are among the dead letters."""
    subscriptions: int = 0


class Answer(Enum):
    """What the broker is to be told."""

    DONE = auto()
    UNKEEPABLE = auto()
    """Not even parking it is possible."""
    NOTHING = auto()


class Trying:
    """`at_once` bounds the messages handled at one moment. `attempts` is how often one is tried
    before it is parked, `pause` the seconds before the second try, which double.
    """

    def __init__(
        self,
        pool: Pool,
        consumer: Consumer,
        *,
        at_once: int = 8,
        attempts: int = 3,
        pause: float = 0.1,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._slots = asyncio.Semaphore(at_once)
        self._attempts, self._pause = attempts, pause
        self.holding = False
        """Whether the database is away, or not as it should be."""
        self.counted = Counted()

    @property
    def consumer(self) -> str:
        """The name of it."""
        return self._consumer.name

    async def handle_together(self, messages: Sequence[Received]) -> bool:
        """All of them in one transaction. Where it comes to nothing each is to be handled alone:
        one of them is at fault, or the database, and that will show.
        """
        wanted = [message for message in messages if message.type in self._consumer.types]
        try:
            async with self._slots, self._pool.connection(_CONNECT) as connection:
                there = await without_lost(connection, self._consumer.name, wanted)
                outcomes = await receive_all(connection, self._consumer, there)
        except Exception as error:  # noqa: BLE001  # nobody can know what an event may break
            _log.info("messages are handled one by one", error=cause_of(error))
            return False
        self._count(outcomes)
        self.counted.passed_over += len(messages) - len(wanted)
        self.counted.lost += len(wanted) - len(there)
        return True

    async def handle(self, received: Received, over: asyncio.Event) -> Answer:
        """As long as the database is away it holds the message, unless `over` is set."""
        if received.type not in self._consumer.types:
            self.counted.passed_over += 1
            return Answer.DONE
        failures = 0
        cause = ""
        rest = self._pause
        while not over.is_set():
            try:
                if failures < self._attempts:
                    await self._receive_or_set_aside(received)
                else:
                    await self._park(received, cause, failures)
            except DataError as error:
                if failures >= self._attempts:
                    _log.error("message cannot be kept", id=received.id, cause=cause_of(error))
                    return Answer.UNKEEPABLE
                failures, cause = failures + 1, cause_of(error)
            except Exception as error:  # noqa: BLE001  # nobody can know what an event may break
                if is_of_the_database(error):
                    self._hold(error)
                else:
                    failures, cause = failures + 1, cause_of(error)
            else:
                self.holding = False
                return Answer.DONE
            if failures != self._attempts:
                await wait_at_most(over, rest)
                rest = min(2 * rest, _LONGEST_REST)
        return Answer.NOTHING

    async def _receive_or_set_aside(self, received: Received) -> None:
        """What is of newer code fails no try: once it is set aside the broker is told that it is
        done, and does not bring it again.
        """
        try:
            await self._receive(received)
        except UnknownMessage as error:
            async with self._slots, self._pool.connection(_CONNECT) as connection:
                await wait_for_newer_code(connection, self._consumer, received, error)
            self.counted.waiting += 1

    async def _receive(self, received: Received) -> None:
        async with self._slots, self._pool.connection(_CONNECT) as connection:
            if await without_lost(connection, self._consumer.name, [received]):
                self._count([await receive(connection, self._consumer, received)])
            else:
                self.counted.lost += 1

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        self.counted.handled += outcomes.count(Outcome.HANDLED)
        self.counted.duplicates += outcomes.count(Outcome.DUPLICATE)
        self.counted.parked += outcomes.count(Outcome.BEHIND)

    async def _park(self, received: Received, cause: str, failures: int) -> None:
        async with self._slots, self._pool.connection(_CONNECT) as connection:
            await park(connection, self._consumer, received, cause, failures)
        self.counted.parked += 1
        _log.error("message parked", consumer=self._consumer.name, id=received.id, cause=cause)

    def _hold(self, error: Exception) -> None:
        if not self.holding:
            _log.warning("messages are held", consumer=self._consumer.name, error=repr(error))
        self.holding = True

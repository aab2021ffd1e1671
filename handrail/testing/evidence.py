"""What the stores hold of one saga: its story, its fence, and what the books were and are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from handrail.kernel import Event, stream_name
from handrail.sagas.events import SagaEnded, SagaEvent, StepCompensated
from handrail.testing.books import Aggregate, Books, Folded
from handrail.testing.companies import Stand
from handrail.testing.environment import Environment

EventT = TypeVar("EventT", bound=Event)

NOT_LOOKED: Final = Stand()
NONE: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True)
class FenceRow:
    answered: bool
    closed: bool


@dataclass(frozen=True)
class Evidence:
    """`before` and `after` are the books of everything the saga wrote to, and of the companies;
    `stand` is what the companies hold in the end, beside what our books say of it. `unknown` are
    categories of streams that the saga wrote to, and that no aggregate folds.
    """

    story: Sequence[SagaEvent]
    fence: Mapping[tuple[int, str, str], FenceRow]
    before: Books
    after: Books
    stand: Stand
    unknown: frozenset[str] = frozenset()

    def told(self, kind: type[EventT], step: str = "") -> list[EventT]:
        """The events of a kind in the saga's own stream, those of one step or all."""
        found = [event for event in self.story if isinstance(event, kind)]
        return [event for event in found if not step or getattr(event, "step", "") == step]

    @property
    def ended(self) -> SagaEnded:
        """The one end there is."""
        [ended] = self.told(SagaEnded)
        return ended

    @property
    def undone(self) -> list[str]:
        """The steps of the last attempt that were taken back, in order."""
        last = self.story[-1].attempt
        return [one.step for one in self.told(StepCompensated) if one.attempt == last]


async def read(
    environment: Environment,
    saga: str,
    aggregates: Mapping[str, Aggregate] = NONE,
    *,
    ledgers_before: Books = NONE,
    ledgers_after: Books = NONE,
    stand: Stand = NOT_LOOKED,
) -> Evidence:
    own = stream_name("saga", saga)
    story: list[Any] = []
    before, after = Folded(aggregates), Folded(aggregates)
    async with environment.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stream, type, schema, data, metadata ->> 'correlation' FROM events"
            " WHERE stream IN"
            " (SELECT stream FROM events WHERE metadata ->> 'correlation' = %s)"
            " ORDER BY stream, version",
            (saga,),
        )
        begun: set[str] = set()
        for stream, type_, schema, data, correlation in await rows.fetchall():
            if stream != own and correlation == saga:
                begun.add(stream)
            for event in environment.codec.decode_all(type_, schema, data):
                if stream == own:
                    story.append(event)
                    continue
                if stream not in begun:
                    before.take(stream, event)
                after.take(stream, event)
        rows = await connection.execute(
            "SELECT attempt, step, direction, answer IS NOT NULL, closed FROM commands"
            " WHERE saga = %s AND step NOT LIKE 'journal:%%'",
            (saga,),
        )
        fence = {
            (attempt, step, direction): FenceRow(answered, closed)
            for attempt, step, direction, answered, closed in await rows.fetchall()
        }
    return Evidence(
        story,
        fence,
        {**before.books(), **ledgers_before},
        {**after.books(), **ledgers_after},
        stand,
        frozenset(after.unknown),
    )


REFERENCE: Final = r"\b[a-z]+-[0-9a-f]{12}\b"
"""What another company calls what it did."""


def anonymous(books: Books, names: Mapping[str, str]) -> Any:
    """With the names that are different in every run replaced by what they name."""
    known = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile("|".join([*known, REFERENCE]))

    def replaced(value: Any) -> Any:
        match value:
            case str():
                return pattern.sub(lambda found: names.get(found[0], "REFERENCE"), value)
            case list() | tuple():
                return [replaced(one) for one in value]
            case dict():
                return {replaced(key): replaced(one) for key, one in value.items()}
            case _:
                return value

    return replaced(dict(books))

"""What the stores hold of one saga: its story, its fence, and what the books were and are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
from pydantic import TypeAdapter

from handrail.eventstore.pool import Pool
from handrail.kernel import Event, stream_name
from handrail.sagas.events import SagaEnded, SagaEvent, StepCompensated
from runtime.app import HANDRAIL
from runtime.verify.evidence import Evidence as Stores
from runtime.verify.evidence import folded
from tests.workflows.harness.companies import NOT_LOOKED, Stand
from tests.workflows.harness.essence import essence

EventT = TypeVar("EventT", bound=Event)

Books = Mapping[str, Any]
"""What stands, by the name of its stream or ledger; what has no effect any more is left out."""


@dataclass(frozen=True)
class FenceRow:
    answered: bool
    closed: bool


@dataclass(frozen=True)
class Evidence:
    """`before` and `after` are the books of everything the saga wrote to, and of the companies;
    `stand` is what the companies hold in the end, beside what our books say of it.
    """

    story: Sequence[SagaEvent]
    fence: Mapping[tuple[int, str, str], FenceRow]
    before: Books
    after: Books
    stand: Stand

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
    pool: Pool, saga: str, ledgers_before: Books, ledgers_after: Books, stand: Stand = NOT_LOOKED
) -> Evidence:
    own = stream_name("saga", saga)
    story: list[Any] = []
    before, after = Stores(), Stores()
    async with pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stream, type, schema, data, metadata ->> 'correlation' FROM events"
            " WHERE stream IN"
            " (SELECT stream FROM events WHERE metadata ->> 'correlation' = %s)"
            " ORDER BY stream, version",
            (saga,),
        )
        begun: set[str] = set()
        for stream, type_, schema, data, correlation in await rows.fetchall():
            event = HANDRAIL.codec.decode(type_, schema, data)
            if stream == own:
                story.append(event)
                continue
            if correlation == saga:
                begun.add(stream)
            if stream not in begun:
                folded(before, stream, event)
            folded(after, stream, event)
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
        {**_standing(before), **ledgers_before},
        {**_standing(after), **ledgers_after},
        stand,
    )


def _standing(stores: Stores) -> Books:
    found = {
        f"{category}-{id_}": essence(category, _plain(state))
        for category, states in stores.states.items()
        for id_, state in states.items()
    }
    return {name: state for name, state in found.items() if state is not None}


def _plain(state: Any) -> Any:
    return TypeAdapter(type(state)).dump_python(state, mode="json")


async def ledgers(companies: Iterable[httpx.AsyncClient], about: frozenset[str]) -> Books:
    """What the companies hold, took, pay and carry for what the saga is about."""
    standing = {"authorised", "captured", "paid", "booked"}
    found: dict[str, Any] = {}
    for company in companies:
        for kind, entries in (await company.get("/ledger")).json().items():
            if not isinstance(entries, list):
                continue
            lines = sorted(
                (entry.get("state", ""), entry.get("amount", 0))
                for entry in entries
                if about.intersection(map(str, entry.values())) and entry["state"] in standing
            )
            if lines:
                found[f"ledger-{kind}"] = [list(line) for line in lines]
    return found


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

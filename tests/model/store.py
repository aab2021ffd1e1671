"""An event store in memory, with the semantics of `append_events`.

Its state is a value (`contents`), so that a schedule can be left and gone on with from anywhere.
What it promises is what `tests/eventstore/test_contract.py` asks of it and of PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import orjson

from handrail.eventstore.store import Appended, Loaded, StepClosed, VersionConflict
from handrail.kernel import Event
from handrail.privacy.texts import CLEAR
from handrail.sagas.events import Direction
from handrail.sagas.step_keys import OVER, StepContext
from tests.model.driving import pause

Key = tuple[date, str, int, str, Direction]


@dataclass(frozen=True)
class Row:
    """A row of the fence; `answer` is JSON, and None where the door was shut before anything came.

    `token` names the transaction that wrote the row.
    """

    answer: bytes | None
    closed: bool
    token: str


@dataclass(frozen=True)
class Contents:
    streams: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    fence: Mapping[Key, Row] = field(default_factory=dict)
    commits: int = 0

    @cached_property
    def fingerprint(self) -> int:
        """The same for contents that answer the same, whatever they were before."""
        rows = ((key, row.answer, row.closed) for key, row in self.fence.items())
        return hash((frozenset(self.streams.items()), frozenset(rows)))


class MemoryStore:
    """What the activities need of `EventStore`; each call is one transaction."""

    personal = CLEAR
    tenant = "merchant"

    def __init__(self) -> None:
        self.contents = Contents()

    async def sealed(
        self, events: Sequence[Event], context: StepContext | None, stream: str = ""
    ) -> Sequence[Event]:
        return events

    def revision_of(self, initial: object, evolve: object) -> str:
        """Nothing is kept of any."""
        return ""

    async def load(self, streams: Mapping[str, int], revision: str = "") -> Mapping[str, Loaded]:
        await pause("load")
        found = {}
        for name, after in streams.items():
            events = self.contents.streams.get(name, ())
            found[name] = Loaded(max(len(events), after), None, list(events[after:]))
        return found

    async def append(
        self,
        appends: Sequence[tuple[str, int | None, Sequence[Event]]],
        *,
        context: StepContext | None = None,
        answer: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Appended:
        if len({stream for stream, _, _ in appends}) < len(appends):
            raise ValueError("a stream is given twice")
        await pause("append")
        fence = dict(self.contents.fence)
        # A step's transaction is named by its key, so that the order of others changes nothing.
        token = str(context.key) if context else str(self.contents.commits)
        if context:
            key = _key(context, context.key.asked_step, context.key.direction)
            if first := fence.get(key):
                if first.answer is None:
                    raise StepClosed(str(context.key))
                return Appended("repeated", orjson.loads(first.answer), first.token)
            fence[key] = Row(orjson.dumps(answer or {}), closed=False, token=token)
            for step in context.closes:
                door = _key(context, step, "do")
                row = fence.get(door, Row(None, closed=True, token=token))
                fence[door] = Row(row.answer, closed=True, token=row.token)
            if context.key.direction == "do" and _key(context, OVER, "do") in fence:
                raise StepClosed(f"attempt {context.key.attempt} of {context.key.saga} is over")
        streams = dict(self.contents.streams)
        for name, expected, events in appends:
            before = streams.get(name, ())
            if expected is not None and len(before) != expected:
                raise VersionConflict(f"stream {name} is at version {len(before)}, not {expected}")
            if events:
                streams[name] = (*before, *events)
        self.contents = Contents(streams, fence, self.contents.commits + 1)
        return Appended("appended", answer or {}, token)

    async def save_snapshot(
        self, stream: str, version: int, revision: str, state: bytes, *, epoch: int = 0
    ) -> None:
        """No stream of a schedule is long enough for one."""


def _key(context: StepContext, step: str, direction: Direction) -> Key:
    return (context.key.opened_on, context.key.saga, context.key.attempt, step, direction)

"""The evidence of one id: what the event store, the read models, the fence and Temporal say of it.

All streams of an id are its own: `trip-42`, `flight-42`, `saga-42`. What other streams say of it,
such as an intervention in a saga, is a mention. A business adds what it has to a subclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar

from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.projections.projection import Happened, Projection, category_of, id_of
from handrail.sagas.events import SagaEvent, SagaStarted
from handrail.verify.saga_facts import SagaFacts

Seen = Callable[[str, int, int, str], bool]
"""Whether a projection's checkpoint has passed an event, by its txid, position and stream."""


@dataclass(frozen=True)
class Stored:
    """An event, and the transaction that wrote it."""

    txid: int
    recorded: Recorded
    event: Event
    part: int = field(default=0, kw_only=True)
    """Which of the events it is that are stored as one."""


@dataclass(frozen=True)
class Mention:
    """An event of another id's stream."""

    stream: str
    event: Event


@dataclass(frozen=True)
class FenceRow:
    """Without an `answered`, a forward key was closed before anything took effect."""

    attempt: int
    step: str
    direction: str
    answered: bool


@dataclass(frozen=True)
class Workflow:
    """What Temporal has of the latest run; `parked` is its search attribute `SagaStatus`."""

    running: bool
    parked: bool = False
    closed_at: datetime | None = None


@dataclass
class SagaEvidence:
    """`workflows` is None where Temporal was not asked. `projections` are the read models."""

    not_kept: ClassVar[frozenset[str]] = frozenset({"intervention"})
    """The categories whose events are not kept: their streams are long."""
    asked_once: ClassVar[frozenset[str]] = frozenset()
    """The types of sagas that are asked for once, whatever their attempts."""

    id: str = ""
    events: dict[str, list[Event]] = field(default_factory=dict)
    """By category, without those of `not_kept`."""
    versions: dict[str, int] = field(default_factory=dict)
    """Of each stream, the version of its last event."""
    heads: dict[str, int] = field(default_factory=dict)
    """Of each stream, the version that writers expect."""
    out_of_order: list[str] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    sagas: dict[str, SagaFacts] = field(default_factory=dict)
    """The sagas that acted for this id, and its own."""
    acted: set[str] = field(default_factory=set)
    """The sagas that appended the events."""
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the read models, by name."""
    folds: dict[str, Any] = field(default_factory=dict)
    """What the rows have to be: folded from the events that their checkpoints have passed."""
    projections: Sequence[Projection[Any]] = ()
    workflows: Mapping[str, Workflow] | None = None
    began: dict[int, date] = field(default_factory=dict)
    """The days in the keys of the attempts of the id's saga."""
    fence: list[FenceRow] = field(default_factory=list)
    fence_since: date = date.min
    """Rows of attempts that began on an earlier day may have been deleted after their retention,"""
    fence_months: frozenset[date] = frozenset()
    """unless the month of that day still has its partition: here are the first days of those."""
    _standing: set[str] = field(default_factory=set)
    looked_at: datetime | None = None
    """When the event store was read; what came later is not known to it."""

    def of(self, category: str) -> Sequence[Event]:
        return self.events.get(category, [])

    def fence_deleted(self, attempt: int) -> str:
        """Which rows of the fence were deleted with the attempt's, after their retention; empty
        where they have to be there. 0 is any attempt.
        """
        for number, day in sorted(self.began.items()):
            deleted = day < self.fence_since and day.replace(day=1) not in self.fence_months
            if attempt in {0, number} and deleted:
                return f"the fence of {day:%Y-%m} was deleted after its retention"
        return ""

    @property
    def story(self) -> Sequence[SagaEvent]:
        """Of the saga that has this id."""
        return self.of("saga")  # type: ignore[return-value]  # of its stream

    def take(self, stored: Stored, seen: Seen | None = None) -> None:
        """One more event of the id's own streams, in the order of their positions."""
        recorded, event = stored.recorded, stored.event
        category = category_of(recorded.stream)
        before = self.versions.get(recorded.stream, 0)
        if recorded.version != before + (stored.part == 0):
            self.out_of_order.append(
                f"stream {recorded.stream}: version {recorded.version} came after {before}"
            )
        self.versions[recorded.stream] = recorded.version
        if category not in self.not_kept:
            self.events.setdefault(category, []).append(event)
            self.acted.add(recorded.metadata.get("correlation", ""))
        if isinstance(event, SagaStarted):
            self.began[event.attempt] = event.opened_on or recorded.recorded_at.date()
        if seen is not None:
            self._fold_rows(stored, seen)

    def mention(self, mention: Mention, acted: str = "") -> None:
        self.mentions.append(mention)
        if acted:
            self.acted.add(acted)

    def mentioned(self, *kinds: type[Event]) -> Iterator[tuple[str, Any]]:
        """The mentions of these kinds, each with the id whose stream it is in."""
        for one in self.mentions:
            if isinstance(one.event, kinds):
                yield id_of(one.stream), one.event

    def _fold_rows(self, stored: Stored, seen: Seen) -> None:
        recorded = stored.recorded
        for projection in self.projections:
            if (
                projection.handles_event(stored.event)
                and projection.reads(recorded)
                and seen(projection.name, stored.txid, recorded.position, recorded.stream)
            ):
                self._fold_row(projection, Happened.of(recorded, stored.event))

    def _fold_row(self, projection: Projection[Any], happened: Happened) -> None:
        """Stands still where the read model does: at an event that it had to park."""
        if projection.name in self._standing:
            return
        try:
            row = projection.evolve(self.folds.get(projection.name), happened)
        except Exception:  # noqa: BLE001  # the read model parks whatever it is, and that is counted
            self._standing.add(projection.name)
        else:
            self.folds[projection.name] = row

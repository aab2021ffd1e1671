"""after(projection, events) is the row; `told` gives events a place and a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import TypeVar

from handrail.kernel import Event
from handrail.projections.projection import Happened, Projection
from tests.controls import NOON

RowT = TypeVar("RowT")


def at(second: int) -> datetime:
    """When the event at this position happened."""
    return NOON + timedelta(seconds=second)


def told(events: Iterable[Event], id_: str = "1") -> Sequence[Happened]:
    return [
        Happened(
            event=event,
            id=id_,
            position=number,
            version=number,
            recorded_at=at(number),
            metadata={"actor": "ann"},
        )
        for number, event in enumerate(events, start=1)
    ]


def folded(projection: Projection[RowT], happened: Iterable[Happened]) -> RowT | None:
    start: RowT | None = None
    return reduce(projection.evolve, happened, start)


def after(projection: Projection[RowT], *events: Event, id_: str = "1") -> RowT:
    row = folded(projection, told(events, id_))
    assert row is not None
    return row

"""What a team adds to the lake: views, ready questions, and a report that draws their answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

from handrail.eventstore.codec import Codec
from handrail.kernel import Event

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Question:
    """A file of SQL in a package: `name` is the file's without `.sql`, and what it is asked by."""

    package: str
    name: str
    title: str

    @property
    def sql(self) -> str:
        return (files(self.package) / f"{self.name}.sql").read_text()


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the report: a question, what it says, and its chart as SVG.

    Without `draw` it is a table. `drawable` are the rows that the chart can show.
    """

    question: Question
    says: str
    draw: Callable[[Rows], str] | None = None
    drawable: Callable[[Mapping[str, Any]], bool] = lambda _: True


@dataclass(frozen=True)
class Views:
    """The views beside `events`: one of each kind of event with its fields, and further ones."""

    events: Sequence[type[Event]]
    codec: Codec
    further: Mapping[str, str]
    """The SELECT of each, by name. It may use those of events, and those before it."""


def view_name(event: str) -> str:
    """`credit_held` for CreditHeld."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event).lower()


EVENTS_ALONE = Views((), Codec({}), {})
"""No view but `events`."""


@dataclass(frozen=True, kw_only=True)
class LakePlan:
    """`tiles` is one row of figures, shown at the head of the report under the columns' names."""

    views: Mapping[str, str] = field(default_factory=dict)
    questions: Sequence[Question] = ()
    tiles: str = 'SELECT count(*) AS "events", count(DISTINCT stream) AS "streams" FROM events'
    parts: Callable[[], Sequence[Part]] = tuple
    """A function, because charts need a package that only the report imports."""

    @cached_property
    def by_name(self) -> Mapping[str, Question]:
        return {one.name: one for one in self.questions}

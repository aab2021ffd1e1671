"""What pages say of events: their links to other pages, and the tree of what caused them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from pydantic import BeforeValidator

from handrail.access.principal import Principal
from handrail.console.declared import Console
from handrail.console.entities import pages_for
from handrail.console.rendering import part
from handrail.http.schemas import Moment

JOURNAL: Final = "journal:"
"""Begins the steps under which a saga writes to its own stream: they are none of its definition."""


def _in_utc(value: object) -> object:
    """A browser's field for a moment names no time zone: it is UTC, as the pages show."""
    if not isinstance(value, str) or "T" not in value:
        return value
    time = value.partition("T")[2]
    return value if time.endswith("Z") or "+" in time or "-" in time else f"{value}Z"


FormMoment = Annotated[Moment, BeforeValidator(_in_utc)]
"""A moment as a form sends it; without a time zone it is in UTC."""


def in_form(moment: datetime | None) -> str:
    """A moment as the field of a form shows it; empty for None."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def event_address(stream: str, version: int) -> str:
    """The page of an event."""
    return f"/console/events/{part(stream)}/{version}"


def search_address(**asked: str) -> str:
    """The page of the events that have all of these."""
    return f"/console/events?{urlencode(asked)}"


def entities_of(console: Console, principal: Principal, stream: str) -> Sequence[Mapping[str, str]]:
    """The pages of the entities that are folded from a stream, of those that the principal may
    see.
    """
    category, _, id_ = stream.partition("-")
    return [
        {"title": f"{one.title} {id_}", "address": f"/console/{one.name}/{part(id_)}"}
        for one in pages_for(console, principal)
        if category in one.projection.categories
    ]


def step_in(metadata: Mapping[str, Any]) -> str:
    """The step of the saga that an event is of; empty where the saga wrote about itself."""
    step = str(metadata.get("step", ""))
    return "" if step.startswith(JOURNAL) else step


@dataclass
class Branch:
    """What one step appended, and below it the step that took it back."""

    name: str
    is_back: bool
    events: Sequence[Mapping[str, Any]]
    back: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    """What one attempt of a saga appended; 0 is what no step of a saga did."""

    number: int
    branches: Sequence[Branch]


def attempts_of(steps: Sequence[Mapping[str, Any]]) -> Sequence[Attempt]:
    """The steps of a correlation as a tree: attempts, their steps, and what took these back."""
    made = {
        one["causation"]: Branch(
            name=one["step"].removeprefix(JOURNAL) or one["causation"] or "no step",
            is_back=one["direction"] == "undo",
            events=one["events"],
        )
        for one in steps
    }
    roots: dict[int, list[Branch]] = {}
    for one in steps:
        branch = made[one["causation"]]
        above = made.get(one["takes_back"]) if one["takes_back"] else None
        if above is None:
            roots.setdefault(one["attempt"] if one["step"] else 0, []).append(branch)
        else:
            above.back.append(branch)
    return [Attempt(number, branches) for number, branches in sorted(roots.items())]

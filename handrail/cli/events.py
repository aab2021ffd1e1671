"""`handrail events`: search the events of all streams, and show what caused one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final

from cyclopts import App, Parameter, validators
from rich.console import Console

from handrail import bounds
from handrail.cli.api_client import Api
from handrail.cli.bounded_options import within
from handrail.cli.bulk import Result
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import Tenant, run_with_api
from handrail.counted import counted
from handrail.load_app import the_app
from handrail.terminal_tables import Column, Table

events = App(name="events", help="Search events by actor, saga, type and time; show their causes.")

_MOST: Final = 10_000
Moment = Annotated[
    datetime | None, Parameter(help="Such as 2026-03-02T12:00; in UTC where it has no zone.")
]
EventId = Annotated[
    str,
    Parameter(help="The event: its stream, and its version there, such as saga-42/3."),
]


@events.command
def search(
    *,
    actor: Annotated[
        str | None,
        Parameter(help="Exactly as stored: person:ann.", validator=within(bounds.STORED_ACTOR)),
    ] = None,
    correlation: Annotated[
        str | None,
        Parameter(help="A saga, a command, a request.", validator=within(bounds.CORRELATION)),
    ] = None,
    saga: str | None = None,
    tenant: Tenant = None,
    type: Annotated[str | None, Parameter(help="The name of the event.")] = None,  # noqa: A002  # as on the command line
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[
        int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=_MOST))
    ] = 100,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List events, newest first. The exit code is 1 where there are none."""

    def work(api: Api, console: Console) -> Result:
        asked = {
            "actor": actor,
            "correlation": correlation,
            "saga": saga,
            the_app().tenant: tenant,
            "type": type,
            "since": _moment(since),
            "until": _moment(until),
        }
        found = list(islice(api.items("/events", **asked), limit))
        table_of(found).print(console)
        more = " and maybe more: --limit" if len(found) == limit else ""
        console.print(f"{counted(len(found), 'event')}{more}")
        return int(not found), {"events": found}

    return run_with_api(work, json=json, wide=wide)


@events.command
def causes(event: EventId, /, *, json: Json = False) -> int:
    """Show what caused an event and what it caused, in the tree of its saga or command."""

    def work(api: Api, console: Console) -> Result:
        stream, _, version = event.rpartition("/")
        found = api.get(f"/events/{stream or '-'}/{version}/causes")
        for line in tree_of(found):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return 0, found

    return run_with_api(work, json=json)


def table_of(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(
        (
            Column("at"),
            Column("event"),
            Column("id"),
            Column("actor", rank=1),
            Column("step", rank=2),
            Column("position", rank=3, right=True),
        )
    )
    for one in found:
        said = one["metadata"]
        table.add(
            _at(one["recorded_at"]),
            one["type"],
            one["id"],
            str(said.get("actor", "")),
            str(said.get("step", "")),
            str(one["position"]),
        )
    return table


def tree_of(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines: the correlation, below it the steps, below each its events."""
    this, caused_by = found["event"]["id"], {one["id"] for one in found["caused_by"]}
    caused = {one["id"] for one in found["caused"]}
    yield found["correlation"] or "no correlation is stored with it"
    for number, step in enumerate(found["steps"], start=1):
        is_last = number == len(found["steps"])
        back = f", takes back {step['takes_back']}" if step["takes_back"] else ""
        named = step["causation"] or "no causation is stored with it"
        yield f"{'└─' if is_last else '├─'} {named}{back}"
        for event in step["events"]:
            mark = " "
            if event["id"] == this:
                mark = "▶"
            elif event["id"] in caused_by:
                mark = "↑"
            elif event["id"] in caused:
                mark = "↓"
            line = f"{event['type']} {event['id']} {event['actor']} {_at(event['recorded_at'])}"
            yield f"{'  ' if is_last else '│ '} {mark} {line}"
    yield "▶ the event  ↑ led to it  ↓ came of it"
    if not found["complete"]:
        yield "later events are not shown: search them by the correlation"


def _at(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%F %T}"


def _moment(given: datetime | None) -> str | None:
    if given is None:
        return None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).isoformat()

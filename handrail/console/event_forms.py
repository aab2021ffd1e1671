"""Deprecated forms of events: what each became, which queues still read it, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handrail.eventstore.pool import Connection
from handrail.eventstore.write_levels import Standing, standing
from handrail.evolution.conversion import can_convert
from handrail.evolution.forms import Form
from handrail.evolution.lineages import Lineages, allowed_of, readable_of
from handrail.messaging.contracts.form_readers import Noted, known


@dataclass(frozen=True, kw_only=True)
class DeprecatedForm:
    """A form that an event was stored or published in before. `queues` read it when the relay
    looked last; `last_read` is when the last of them was seen, None where there never was one.
    `lowered`: whether the newest form can be published in it.
    """

    form: str
    becomes: str
    lowered: bool
    queues: Sequence[str]
    last_read: datetime | None


@dataclass(frozen=True, kw_only=True)
class WriteLevel:
    """The newest form of a message that may be written, and the processes that cannot read the
    newest there is.
    """

    newest: str
    written: str
    since: datetime | None
    raised_by: str
    held_back_by: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FormsOfEvents:
    """`looked_at` is when the relay saw last what queues are bound to; None: never."""

    deprecated: Mapping[str, Sequence[DeprecatedForm]]
    levels: Sequence[WriteLevel]
    looked_at: datetime | None


async def forms_of_events(
    connection: Connection, lineages: Lineages, events: Sequence[type[Any]]
) -> FormsOfEvents:
    """Of the events that have several forms. Three statements, however many there are."""
    several = {
        one.__name__: forms for one in events if len(forms := lineages.forms(one.__name__)) > 1
    }
    noted = await known(
        connection, list(dict.fromkeys(f for some in several.values() for f in some))
    )
    return FormsOfEvents(
        deprecated={
            name: [_deprecated(lineages, form, newest, noted) for form in reversed(older)]
            for name, (*older, newest) in several.items()
        },
        levels=_levels(lineages, await standing(connection)),
        looked_at=noted.looked_at,
    )


def _deprecated(lineages: Lineages, form: Form, newest: Form, noted: Noted) -> DeprecatedForm:
    change = lineages.after.get(form)
    readers = noted.readers[form]
    return DeprecatedForm(
        form=str(form),
        becomes=", ".join(map(str, change.new)) if change else "",
        lowered=can_convert(lineages, newest, form),
        queues=sorted(set(noted.then(form))),
        last_read=readers[0].last_seen if readers else None,
    )


def _levels(lineages: Lineages, now: Standing) -> Sequence[WriteLevel]:
    rows = {one.event: one for one in now.levels}
    found = []
    for ladder in lineages.ladders:
        written = allowed_of(ladder, now.rows)
        row = rows.get(written.name)
        if row is not None and row.version < written.version:
            row = None
        found.append(
            WriteLevel(
                newest=str(ladder[-1]),
                written=str(written),
                since=row.raised_at if row else None,
                raised_by=row.raised_by if row else "",
                held_back_by=[
                    str(one)
                    for one in now.processes
                    if readable_of(ladder, one.reads) != ladder[-1]
                ],
            )
        )
    return found

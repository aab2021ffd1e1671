"""Blame for the page of an entity: for each field the event that last set it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from handrail.console.declared import EntityPage
from handrail.console.event_pages import event_address
from handrail.http.dependencies import Services
from handrail.http.problems import Problem
from handrail.projections.blame import SetBy

_TOO_LONG: Final = "history-too-long"


@dataclass(frozen=True)
class FieldBlame:
    """What a page says of a field: the event, and its page. `is_newer` is an event that the shown
    row does not have yet.
    """

    event: SetBy
    address: str
    is_newer: bool


@dataclass(frozen=True)
class RowBlame:
    """`said` is why some or all fields have none; empty where each has its own."""

    fields: Mapping[str, FieldBlame] = field(default_factory=dict)
    said: str = ""


async def blame_of_row(
    services: Services, entity: EntityPage, id_: str, moment: datetime | None, row: Any
) -> RowBlame:
    """As `GET …/blame` finds it, with the same bound: a history that one request cannot fold says
    so, and the page goes on. Raises Problem for whatever else is wrong.
    """
    try:
        found = await services.history.blame(entity.projection, id_, moment)
    except Problem as problem:
        if problem.slug != _TOO_LONG:
            raise
        return RowBlame(said=f"Its history is long. So far one request has {problem.detail}.")
    fields = {
        name: FieldBlame(
            event=by,
            address=event_address(by.stream, by.version),
            is_newer=getattr(found.row, name) != getattr(row, name),
        )
        for name, by in found.set_by.items()
    }
    if found.stopped_by is not None:
        stopped = f"{found.stopped_by.stream} at position {found.stopped_by.position}"
        return RowBlame(fields, f"The read model stands still at the event of {stopped}.")
    if not found.complete:
        said = "What has no event here was set earlier than one request reads a long history."
        return RowBlame(fields, said)
    return RowBlame(fields)

"""Audit: what operators did, with its outcome; and the same as a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from io import StringIO
from typing import Annotated, Any, Final, Literal, get_args

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from handrail import bounds
from handrail.audit.act_search import ActFilter, Before, FoundAct, FoundActs, Outcome, search
from handrail.console.event_pages import FormMoment, event_address, in_form
from handrail.console.rendering import HEADERS, page
from handrail.http import pagination
from handrail.http.access import needs
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.pagination import PageQuery, position
from handrail.http.schemas import text

router = APIRouter(dependencies=[needs("audit:read", own_rows=True)])

EXPORTED: Final = 5_000
"""Acts that a file has at most."""
_ROUNDS: Final = 50
"""Pages that are read for a file at most, also where few of their acts match."""
_PATH: Final = "/console/audit"
_BY_DAY: Final[TypeAdapter[Before]] = TypeAdapter(
    tuple[
        Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")],
        Annotated[int, Field(ge=0, le=bounds.LARGEST_INTEGER)],
    ]
)
_COLUMNS: Final = tuple(one.name for one in fields(FoundAct))
_FORMULA: Final = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula."""


class ActsForm(PageQuery):
    principal: Annotated[str, text(bounds.STORED_ACTOR)] | None = None
    act: Annotated[str, text(bounds.CAUSE)] | None = None
    target: Annotated[str, text(bounds.CAUSE)] | None = None
    outcome: Outcome | None = None
    since: FormMoment | None = None
    until: FormMoment | None = None

    @property
    def wanted(self) -> ActFilter:
        return ActFilter(**self.model_dump(exclude={"limit", "cursor"}))


class ExportForm(ActsForm):
    format: Literal["csv", "jsonl"] = "csv"


@router.get("/console/audit")
async def show(
    request: Request, services: ServicesDep, query: Annotated[ActsForm, Query()]
) -> Response:
    """Two statements. Acts are of no tenant: a principal that is confined to one sees none."""
    before = position(_PATH, query, _BY_DAY)
    found = await _search(services, query.wanted, before, query.limit)
    shown = pagination.page(found.acts, found.next, _PATH, query, Response())
    return await page(
        request,
        services,
        "audit.html",
        items=[
            {**vars(one), "address": event_address(one.stream, one.version)} for one in found.acts
        ],
        next=shown.next,
        outcomes=get_args(Outcome),
        most=EXPORTED,
        filters=query.filters,
        query={
            **{one: getattr(query, one) or "" for one in ("principal", "act", "target", "outcome")},
            "since": in_form(query.since),
            "until": in_form(query.until),
        },
    )


@router.get("/console/audit/export")
async def export(services: ServicesDep, query: Annotated[ExportForm, Query()]) -> Response:
    """The newest acts that match, as CSV or as lines of JSON. The name of the file says whether
    these are all.
    """
    acts: list[FoundAct] = []
    wanted = ActFilter(**query.model_dump(exclude={"limit", "cursor", "format"}))
    before: Before | None = None
    is_all = False
    for _ in range(_ROUNDS):
        found = await _search(services, wanted, before, EXPORTED - len(acts))
        acts += found.acts
        before, is_all = found.next, found.next is None
        if is_all or len(acts) == EXPORTED:
            break
    rows = await services.personal.open([dict(vars(one)) for one in acts])
    name = f"audit-{'all' if is_all else f'newest-{len(acts)}'}.{query.format}"
    is_csv = query.format == "csv"
    return Response(
        _as_csv(rows) if is_csv else b"".join(orjson.dumps(one) + b"\n" for one in rows),
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
        media_type="text/csv; charset=utf-8" if is_csv else "application/x-ndjson",
    )


async def _search(
    services: Services, wanted: ActFilter, before: Before | None, limit: int
) -> FoundActs:
    if not services.database.visible.everything:
        return FoundActs([], None)
    async with services.database.connection() as connection:
        return await search(connection, wanted, before=before, limit=limit)


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    written = StringIO()
    writer = csv.writer(written)
    writer.writerow(_COLUMNS)
    for one in rows:
        writer.writerow([_cell(one[name]) for name in _COLUMNS])
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would compute begins with an apostrophe; blanks do not count."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value

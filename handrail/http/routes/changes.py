"""The past of a resource: `…/changes` between two moments, and `…/blame` for each of its fields.

A business adds both routes to a resource whose rows it reads as of moments, with one call:

    router.include_router(past_of("/trips/{trip}", trips.PROJECTION, "trips:read"))

They name actors and reasons, so they need `audit:read` beside the scope of the resource. Fields are
those of the read model, as they are stored.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, JsonValue

from handrail.http.access import needs
from handrail.http.dependencies import AsOf, ServicesDep
from handrail.http.pagination import BY_VERSION, Page, PageQuery, page, position
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Id, Links, Moment
from handrail.messaging.envelope import id_of
from handrail.projections.blame import FieldChange, SetBy
from handrail.projections.projection import Projection

_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")


class SettingEvent(BaseModel):
    """The event that set a field: who caused it, by which step, and why."""

    id: str
    position: int
    type: str
    recorded_at: datetime
    effective_at: datetime | None = Field(
        default=None, description="When it became true, where the event says so."
    )
    actor: str
    correlation: str
    causation: str
    reason: str
    links: Links


class ChangedField(BaseModel):
    field: str
    before: JsonValue = Field(description="None, too, where there was no row yet.")
    after: JsonValue


class Change(BaseModel):
    """What one event changed."""

    event: SettingEvent
    fields: list[ChangedField]


class ChangesPage(Page[Change]):
    """Oldest first. Where the read model could not apply an event it stands still, and
    `stopped_at` is the position of that event.
    """

    stopped_at: int | None = None


class BlamedField(BaseModel):
    """`set_by` is None for what was set before the part of a long history that was read."""

    field: str
    value: JsonValue
    set_by: SettingEvent | None


class BlamedRow(BaseModel):
    """Every field with the event that last set it. It is not `complete` where a history is longer
    than one read folds: then some fields are older than that.
    """

    read_model: str
    id: str
    fields: list[BlamedField]
    complete: bool
    stopped_at: int | None = None


class ChangesQuery(PageQuery):
    since: Moment | None = Field(
        default=None, alias="from", description="From what it was then. Without: from nothing."
    )
    until: Moment | None = Field(
        default=None, alias="to", description="To what it was then. Without: to now."
    )


def past_of(
    path: str,
    projection: Projection[Any],
    scope: str,
    *,
    key: Callable[[Mapping[str, str]], str] | None = None,
    tags: Sequence[str] = (),
) -> APIRouter:
    """Both routes of the resource at this path. `key` makes the key of the row from the parameters
    of the path; without it, it is the only one.
    """
    names = _PARAMETER.findall(path)
    key = key or (lambda given: given[names[0]])
    router = APIRouter(tags=[*tags])
    declared: dict[str, Any] = {
        "dependencies": [needs(scope, "audit:read")],
        "responses": responses("not-found", "history-too-long", "database-unavailable"),
    }

    async def changes(
        request: Request,
        services: ServicesDep,
        response: Response,
        query: Annotated[ChangesQuery, Query()],
    ) -> ChangesPage:
        """Which field changed from what to what, by which event, and why. A page folds a bounded
        number of events: it may be empty, and have a next one.
        """
        here = f"{_here(path, request)}/changes"
        after = position(here, query, BY_VERSION)
        found = await services.history.changes(
            projection,
            key(request.path_params),
            since=query.since,
            until=query.until,
            after=after[0] if after else 0,
            limit=query.limit,
        )
        items = [
            Change(event=_event(one.by), fields=[_field(each) for each in one.fields])
            for one in found.changes
        ]
        next_ = None if found.next is None else (found.next,)
        shown = page(items, next_, here, query, response)
        stopped_at = found.stopped_by and found.stopped_by.position
        return ChangesPage(items=items, next=shown.next, stopped_at=stopped_at)

    async def blame(request: Request, services: ServicesDep, as_of: AsOf = None) -> BlamedRow:
        """The row as of now or of a moment, with the event that last set each field."""
        id_ = key(request.path_params)
        found = await services.history.blame(projection, id_, as_of)
        if found.row is None:
            raise Problem("not-found", f"{projection.name} has no row {id_} there")
        fields = [
            BlamedField(
                field=name,
                value=_json(getattr(found.row, name)),
                set_by=_event(found.set_by[name]) if name in found.set_by else None,
            )
            for name in projection.columns
        ]
        return BlamedRow(
            read_model=projection.name,
            id=id_,
            fields=fields,
            complete=found.complete,
            stopped_at=found.stopped_by and found.stopped_by.position,
        )

    router.get(f"{path}/changes", summary="What changed between two moments", **declared)(
        _with_path(changes, names)
    )
    router.get(f"{path}/blame", summary="Which event last set each field", **declared)(
        _with_path(blame, names)
    )
    return router


def _with_path(
    endpoint: Callable[..., Awaitable[Any]], names: Sequence[str]
) -> Callable[..., Awaitable[Any]]:
    """The endpoint with the parameters of its path in its signature: FastAPI reads that."""
    signature = inspect.signature(endpoint, eval_str=True)
    given = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Id) for name in names
    ]

    async def called(**arguments: Any) -> Any:
        return await endpoint(**{k: v for k, v in arguments.items() if k not in names})

    own = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature.parameters.values()
    ]
    called.__doc__, called.__name__ = endpoint.__doc__, f"{endpoint.__name__}_of_{'_'.join(names)}"
    vars(called)["__signature__"] = signature.replace(parameters=[*given, *own])
    return called


def _here(path: str, request: Request) -> str:
    return path.format_map(request.path_params)


def _event(by: SetBy) -> SettingEvent:
    return SettingEvent(
        id=id_of(by.stream, by.version),
        position=by.position,
        type=by.type,
        recorded_at=by.recorded_at,
        effective_at=by.effective_at,
        actor=by.actor,
        correlation=by.correlation,
        causation=by.causation,
        reason=by.reason,
        links={
            "stream": f"/streams/{by.stream}",
            "causes": f"/events/{by.stream}/{by.version}/causes",
        },
    )


def _field(one: FieldChange) -> ChangedField:
    return ChangedField(field=one.field, before=_json(one.before), after=_json(one.after))


def _json(value: Any) -> JsonValue:
    """As the read model stores it."""
    found: JsonValue = orjson.loads(orjson.dumps(value))
    return found

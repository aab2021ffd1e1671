"""The audit search: events by actor, correlation, saga, tenant, type and time, and their causes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from handrail import bounds
from handrail.audit.causation import CausedEvent, causes_of
from handrail.audit.event_search import EventFilter, SeenEvents, search
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.pagination import BY_VERSION, Page, PageQuery, page, position
from handrail.http.problems import Problem, responses
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Id, Links, Moment, Name, SagaId, of_row, text, whole
from handrail.http.stream_reader import StoredEvent
from handrail.messaging.envelope import id_of
from handrail.tenant_word import TENANT_FIELD

router = APIRouter(tags=["audit"])


class EventsQuery(PageQuery):
    actor: Annotated[str, text(bounds.STORED_ACTOR)] | None = Field(
        default=None, description="Exactly as it is stored: `person:ann`."
    )
    correlation: Annotated[str, text(bounds.CORRELATION)] | None = Field(
        default=None, description="The saga, the single command or the request that caused it."
    )
    saga: SagaId | None = None
    tenant: Annotated[Id | None, TENANT_FIELD] = None
    type: Name | None = Field(
        default=None,
        description="The name of the event. That of now also finds what is stored under its earlier"
        " names, an earlier name only what is stored under that.",
    )
    since: Moment | None = Field(default=None, description="Recorded at this moment, or later.")
    until: Moment | None = Field(default=None, description="Recorded before this moment.")


class FoundEvent(StoredEvent):
    """`id` is what the event is known by everywhere: its stream, and its version there."""

    id: str
    position: int = Field(description="Its number in the store: events are sorted by it.")
    stream: str
    links: Links


class EventRef(BaseModel):
    """An event without its data."""

    id: str
    position: int
    type: str
    actor: str
    recorded_at: datetime


class StepOfCauses(BaseModel):
    """What a step of an attempt appended. `takes_back` is the causation of what it compensates."""

    causation: str
    step: str
    direction: str
    attempt: int
    takes_back: str
    events: list[EventRef]


class EventCauses(BaseModel):
    """`caused_by` led to the event, the nearest first; `caused` came of it. `steps` is everything
    of its correlation; where it is not `complete`, later events are missing.
    """

    event: EventRef
    correlation: str
    causation: str
    caused_by: list[EventRef]
    caused: list[EventRef]
    steps: list[StepOfCauses]
    complete: bool
    links: Links


@router.get(
    "/events",
    summary="Search events, newest first",
    dependencies=[needs("audit:read", own_rows=True)],
    responses=responses("database-unavailable"),
)
async def search_events(
    services: ServicesDep, response: Response, query: Annotated[EventsQuery, Query()]
) -> Page[FoundEvent]:
    """A page looks at a bounded number of events: it may have fewer than `limit`, or none, and
    there are more all the same where it has a `next`.
    """
    after = position("/events", query, BY_VERSION)
    app = services.app
    wanted = EventFilter(
        actor=query.actor,
        correlation=query.correlation,
        saga=query.saga,
        tenant=query.tenant,
        types=app.codec.stored_names(query.type) if query.type is not None else None,
        since=query.since,
        until=query.until,
    )
    async with services.database.connection() as connection:
        found = await search(
            connection,
            wanted,
            tenant_word=app.tenant,
            below=after[0] if after else None,
            limit=query.limit,
            seen=SeenEvents(services.database.visible, (app.saga_board, *app.path_rows.values())),
        )
    items = [
        FoundEvent(
            id=id_of(one["stream"], one["version"]),
            links=_links(one["stream"], one["version"]),
            **one,
        )
        for one in found.events
    ]
    next_ = None if found.next is None else (found.next,)
    return page(items, next_, "/events", query, response)


@router.get(
    "/events/{stream}/{version}/causes",
    summary="What caused an event, and what it caused",
    dependencies=[needs("audit:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_causes(
    services: ServicesDep,
    stream: StreamName,
    version: Annotated[int, Path(), whole(bounds.VERSION, strict=False)],
) -> EventCauses:
    """By the keys of steps that events carry: all events of one saga, or of one command."""
    async with services.database.connection() as connection:
        found = await causes_of(connection, stream, version)
    if found is None:
        raise Problem("not-found", f"there is no event {id_of(stream, version)}")
    return EventCauses(
        event=_ref(found.event),
        correlation=found.correlation,
        causation=found.causation,
        caused_by=_refs(found.caused_by),
        caused=_refs(found.caused),
        steps=[of_row(StepOfCauses, one, events=_refs(one.events)) for one in found.steps],
        complete=found.complete,
        links=_links(stream, version),
    )


def _refs(some: Sequence[CausedEvent]) -> list[EventRef]:
    return [_ref(one) for one in some]


def _ref(one: CausedEvent) -> EventRef:
    return of_row(EventRef, one)


def _links(stream: str, version: int) -> Links:
    return {"stream": f"/streams/{stream}", "causes": f"/events/{stream}/{version}/causes"}

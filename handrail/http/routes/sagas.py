"""Sagas: which there are, what happened in each, and what happens in it now."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from handrail import bounds
from handrail.http import stream_place, stream_reader
from handrail.http.access import needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import AsOf, Services, ServicesDep
from handrail.http.named_models import named
from handrail.http.pagination import BY_TIME, PastPageQuery, RowPage, position, row_page
from handrail.http.problems import Problem, in_header, responses
from handrail.http.schemas import Id, Links, Money, Name, SagaId, form, of_row
from handrail.http.stream_place import StreamPlace
from handrail.http.stream_reader import StoredEvent
from handrail.kernel import stream_name
from handrail.projections import saga_board
from handrail.projections.saga_board import SagaRow, Status
from handrail.sagas.events import SagaEnded
from handrail.tenant_word import TENANT_FIELD

router = APIRouter(tags=["sagas"])

SagaT = TypeVar("SagaT", bound="Saga")


class Waiting(BaseModel):
    """A step that is parked, or awaits an answer."""

    step: str
    kind: Literal["parked", "awaiting"]
    direction: str
    cause: str
    since: datetime
    until: datetime | None = Field(default=None, description="When no answer becomes a no.")


class Saga(BaseModel):
    """`starting` is a saga that Temporal knows and that has not told anything yet."""

    saga: str
    saga_type: str
    status: Status | Literal["starting"]
    tenant: Annotated[str, TENANT_FIELD]
    actor: str | None = None
    step: str = ""
    direction: str = "do"
    cause: str = Field(default="", description="What a parked saga waits for.")
    decision: str | None = None
    because: str = Field(default="", description="What turned it back.")
    reason: str = ""
    at_stake: Money | None = None
    waiting: list[Waiting] = []
    parked_since: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None
    updated_at: datetime
    attempt: int = 1
    shape: int | None = None
    version: int = Field(default=0, description="Of the saga's stream.")
    links: Links


class Entry(BaseModel):
    """One line of the timeline: the saga's event `what`, and what it says."""

    at: datetime
    what: str
    step: str | None = None
    direction: str | None = None
    outcome: str | None = None
    cause: str | None = None
    actor: str | None = None
    reason: str | None = None
    intervention: str | None = None
    evidence: str | None = Field(default=None, description="What a skip or a resolution rests on.")
    correction: str | None = Field(default=None, description="JSON: what was, and what is now.")
    until: datetime | None = Field(default=None, description="When no answer becomes a no.")
    version: int


class SagaWithTimeline(Saga):
    timeline: list[Entry] = []


class SagasQuery(PastPageQuery):
    status: Status | None = None
    saga_type: Name | None = None
    tenant: Annotated[Id | None, TENANT_FIELD] = None
    step: Name | None = None


@router.get(
    "/sagas",
    summary="List sagas, newest first",
    dependencies=[needs("sagas:read", own_rows=True)],
    responses=responses("history-too-long", "moment-lost", "moment-said-twice"),
)
async def list_sagas(
    services: ServicesDep,
    fresh: FreshnessDep,
    response: Response,
    query: Annotated[SagasQuery, Query()],
) -> RowPage[Saga]:
    after = position("/sagas", query, BY_TIME)
    board, visible = services.app.saga_board, services.database.visible
    where = query.where("status", "saga_type", "tenant", "step")
    found, parked = await fresh.slice(
        saga_board.list_of(board, where),
        query,
        after,
        lambda connection: saga_board.sagas(
            connection, board, visible=visible, after=after, limit=query.limit, **where
        ),
    )
    items = [_of(services, row, Saga) for row in found.rows]
    return row_page(items, found.next, "/sagas", query, response, parked=parked)


@router.get(
    "/sagas/{saga}",
    summary="How a saga stands, and what happened in it",
    dependencies=[needs("sagas:read")],
    responses=responses("not-found"),
)
async def show_saga(
    services: ServicesDep, fresh: FreshnessDep, saga: SagaId, as_of: AsOf = None
) -> SagaWithTimeline:
    board = services.app.saga_board
    row = await fresh.row(
        board, saga, lambda connection: saga_board.saga(connection, board.table, saga), as_of
    )
    if row is not None:
        return _of(services, row, SagaWithTimeline, timeline=list(row.timeline))
    if as_of is not None:
        raise _no_saga(saga)
    known = await services.processes.known(saga)
    if known is None:
        raise _no_saga(saga)
    return named(SagaWithTimeline, services.app.tenant)(
        saga=saga,
        saga_type=known.saga_type,
        status="starting",
        tenant=known.tenant,
        started_at=known.started_at,
        updated_at=known.started_at,
        links=services.links(saga),
    )


class Following:
    """Where a reader of the saga's events goes on, in the epoch that the store is in."""

    def __init__(self, services: Services, stream: str, after: int, epoch: int) -> None:
        self.services = services
        self.stream = stream
        self.after = after
        self.epoch = epoch

    async def more(self) -> Sequence[StoredEvent]:
        """The next events, as soon as there are any; none where the reader has to come again."""
        return await self.services.streams.after(self.stream, self.after, self.epoch)

    @property
    def id(self) -> str:
        """Of the last event that was read: what the reader comes again with."""
        return str(StreamPlace(self.after, self.epoch))


class NothingMore(Exception):
    """The reader has seen the end: 204 tells an EventSource not to come back."""


@asynccontextmanager
async def followed(
    request: Request, services: Services, saga: str, place: StreamPlace
) -> AsyncIterator[Following]:
    """Raises NothingMore; Problem where there is no such saga, or event of it."""
    stream = stream_name("saga", saga)
    async with services.database.connection() as connection:
        standing = await stream_place.standing(connection, stream, place)
        newest, after = standing.newest, standing.place.version
        last = await stream_reader.read(connection, stream, after=newest - 1, limit=1)
    if not newest and await services.processes.known(saga) is None:
        raise _no_saga(saga)
    if after > newest or (place.epoch or 1) > standing.epoch:
        raise _no_such_event()
    if after == newest and _ends(last):
        raise NothingMore
    # Open as long as the answer: what comes after this is done when all of it was sent.
    with services.streams.opened(request.client.host if request.client else ""):
        yield Following(services, stream, after, standing.epoch)


async def following(
    request: Request,
    services: ServicesDep,
    saga: SagaId,
    last_event_id: Annotated[
        str | None,
        Header(
            json_schema_extra=form(bounds.EVENT_ID),
            description="The id of the last event that was received: the next one follows.",
        ),
    ] = None,
) -> AsyncIterator[Following]:
    async with followed(request, services, saga, place_of(last_event_id)) as found:
        yield found


@router.get(
    "/sagas/{saga}/events",
    summary="What happens in a saga, as it happens",
    dependencies=[needs("sagas:read")],
    response_class=EventSourceResponse,
    responses={
        204: {"description": "The saga has ended and Last-Event-ID is its last event"},
        **responses("not-found", "too-many-streams", "database-unavailable"),
    },
)
async def follow(
    following: Annotated[Following, Depends(following)],
    saga: Annotated[SagaId, Path()],
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events, from the beginning or after Last-Event-ID; it ends when the saga has. The
    id of an event is its version in the stream `saga-{id}`, from the second epoch of the store on
    with that before it (`2-17`); its name is its type.
    """
    del saga
    yield ServerSentEvent(retry=1000)
    with suppress(Problem):  # the client comes back with Last-Event-ID, and may find it mended
        while found := await following.more():
            for event in found:
                following.after = event.version
                yield ServerSentEvent(id=following.id, event=event.type, data=event)
            if _ends(found):
                return


def place_of(last_event_id: str | None) -> StreamPlace:
    """What the header says. Raises Problem."""
    if last_event_id is None:
        return StreamPlace(0)
    if bounds.EVENT_ID.wrong_with(last_event_id) is None and (
        place := StreamPlace.of(last_event_id)
    ):
        return place
    raise _no_such_event()


def _no_such_event() -> Problem:
    said = "not the id of an event of this saga"
    return Problem("malformed-header", f"Last-Event-ID: {said}", [in_header("Last-Event-ID", said)])


def _ends(events: Sequence[StoredEvent]) -> bool:
    """What follows the end of a saga is another attempt, and then the end is not the last."""
    return bool(events) and events[-1].type == SagaEnded.__name__


def _no_saga(saga: str) -> Problem:
    return Problem("not-found", f"there is no saga {saga}")


def _of(services: Services, row: SagaRow, model: type[SagaT], **more: Any) -> SagaT:
    return of_row(
        named(model, services.app.tenant),
        row,
        at_stake=Money.at_stake(row.at_stake, row.currency),
        waiting=[{"step": step, **one} for step, one in row.waiting.items()],
        links=services.links(row.saga),
        **more,
    )

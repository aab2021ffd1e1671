"""Interventions in many sagas at once: a dry run, the run, its progress, its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.http import stream_reader
from handrail.http.access import needs, needs_two
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, Services, ServicesDep
from handrail.http.four_eyes import OF_TWO, ProposedAction, SecondPersonDep
from handrail.http.idempotency import ONCE, Answered, Claim, OptionalKey, Requests, once
from handrail.http.pagination import (
    BY_TIME,
    BY_VERSION,
    Page,
    PageQuery,
    PastPageQuery,
    RowPage,
    page,
    position,
    row_page,
)
from handrail.http.problems import Problem, responses
from handrail.http.routes.bulk_intervention_request import Filter, NewInterventionInMany, id_of
from handrail.http.saga_control import IN_MANY
from handrail.http.schemas import Id, Links, Money, Why, of_row
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.kernel import stream_name
from handrail.personal import ERASED
from handrail.projections import intervention_board, saga_board
from handrail.projections.intervention_board import InterventionRow, State
from handrail.projections.intervention_outcomes import became, outcomes, statuses
from handrail.sagas.interventions import Heard, Kind, SagaTold

router = APIRouter(tags=["sagas"])

_ROUTE: Final = "POST /interventions"
_LEASE: Final = timedelta(seconds=20)
_SHOWN: Final = 50
_SEARCHED: Final = 2_000
"""Events of an intervention that one page of its items looks through for those of a status."""
"""How many sagas a dry run shows: those that have waited the longest."""


class Found(BaseModel):
    saga: str
    saga_type: str
    step: str
    cause: str
    seconds: float = Field(description="How long it has been parked.")
    at_stake: Money | None = Field(description="None where the saga is not about money.")
    links: Links


class DryRun(BaseModel):
    """`sagas` are those that have waited the longest, `count` is how many there are."""

    count: int
    at_stake: list[Money] = Field(description="One amount for each currency.")
    sagas: list[Found]


class Begun(BaseModel):
    intervention: str
    state: Literal["running"] = "running"
    links: Links


class InterventionInMany(BaseModel):
    """`remaining` have not been told yet, or not any more where it was stopped. `stopped_by` has
    stopped it, or suspended it for now, for `stop_reason`.
    """

    intervention: str
    state: State
    kind: Kind
    filter: dict[str, Any]
    actor: str
    reason: str
    evidence: str
    happened: bool
    correction: dict[str, Any] | None
    per_second: int
    found: int
    accepted: int
    refused: int
    unreachable: int
    remaining: int
    stopped_by: str
    stop_reason: str
    began_at: datetime
    ended_at: datetime | None
    updated_at: datetime
    links: Links


class Item(BaseModel):
    """`said` is why a saga refused, or that it could not be reached. `became` is how it stands now:
    its status, `parked again` where it accepted and is parked once more, or `unknown`.
    """

    saga: str
    step: str
    status: Heard
    said: str
    at: datetime
    became: str


class Outcomes(BaseModel):
    """`counts` has how many of the first 2,000 that were told stand how: `completed`,
    `compensated`, `parked again` and others, as an item's `became`.
    """

    intervention: str
    counts: dict[str, int]


class ItemsQuery(PageQuery):
    status: Heard | None = None


class NewStop(Why):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "it made it worse"}]})


class NewPause(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "to see how the first ones go"}]}
    )


class Pausing(BaseModel):
    """It is so by now; the page of the intervention shows it a moment later."""

    intervention: str
    status: Literal["suspended", "running"]
    links: Links


class Stopping(BaseModel):
    intervention: str
    status: Literal["stopping"] = "stopping"
    links: Links


@router.post(
    "/interventions",
    status_code=202,
    summary="Let many parked sagas go on",
    response_model=Begun | ProposedAction,
    dependencies=[needs_two("sagas:intervene"), *JSON_BODY],
    responses={
        200: {"model": DryRun, "description": "Which sagas would be told, where it is a dry run"},
        **responses(*OF_TWO, "database-unavailable", "temporal-unavailable", *ONCE),
    },
)
async def intervene_in_many(
    *,
    services: ServicesDep,
    actor: ActorDep,
    key: OptionalKey,
    second: SecondPersonDep,
    asked: NewInterventionInMany,
) -> Response:
    """Tells every parked saga that matches, each once, at most so many in a second. What is parked
    later is left alone. The Idempotency-Key is the intervention's id. A dry run needs none, and
    only shows which sagas are meant. But for a retry a second person may be needed.
    """
    asked.check()
    moves = asked.kind != "retry" and not asked.dry_run
    actor = await second.agreed(actor, asked, needed=moves)
    if asked.dry_run:
        found = await dry_run(services, asked.filter)
        return Answered(200, found.model_dump(mode="json")).response()
    id_ = id_of(key)

    async def work(claim: Claim) -> Answered:
        wish = asked.to_domain(id_, asked.by(actor))
        await services.steering.start_in_many(wish, begun=claim.begun)
        body = Begun(intervention=id_, links=_links(services, id_))
        return Answered(202, body.model_dump(mode="json"), {"Location": f"/interventions/{id_}"})

    kept = Requests(services.database)
    stream = stream_name("intervention", id_)
    return await once(kept, _ROUTE, id_, asked=asked, lease=_LEASE, work=work, stream=stream)


@router.get(
    "/interventions",
    summary="List interventions in many sagas, newest first",
    dependencies=[needs("sagas:read")],
    responses=responses("history-too-long", "moment-lost", "moment-said-twice"),
)
async def list_interventions(
    services: ServicesDep,
    fresh: FreshnessDep,
    response: Response,
    query: Annotated[PastPageQuery, Query()],
) -> RowPage[InterventionInMany]:
    after = position("/interventions", query, BY_TIME)
    found, parked = await fresh.slice(
        intervention_board.list_of(services.app.intervention_board),
        query,
        after,
        lambda connection: intervention_board.interventions(
            connection, after=after, limit=query.limit
        ),
    )
    items = [_of(services, row) for row in await services.personal.open(found.rows)]
    return row_page(items, found.next, "/interventions", query, response, parked=parked)


@router.get(
    "/interventions/{intervention}",
    summary="How far an intervention has come",
    dependencies=[needs("sagas:read")],
    responses=responses("not-found", "temporal-unavailable"),
)
async def show_intervention(
    services: ServicesDep, fresh: FreshnessDep, intervention: Id, as_of: AsOf = None
) -> InterventionInMany:
    """It appears a moment after it was begun; until then the answer is 503 with Retry-After."""
    row = await fresh.row(
        services.app.intervention_board,
        intervention,
        lambda connection: intervention_board.intervention(connection, intervention),
        as_of,
    )
    if row is None and as_of is not None:
        raise Problem("not-found", f"there was no intervention {intervention}")
    if row is None:
        raise await _unseen(services, intervention)
    return _of(services, await services.personal.open(row))


@router.get(
    "/interventions/{intervention}/items",
    summary="What became of each saga",
    dependencies=[needs("sagas:read")],
    responses=responses(
        "not-found", "read-model-behind", "database-unavailable", "temporal-unavailable"
    ),
)
async def list_items(
    services: ServicesDep,
    response: Response,
    intervention: Id,
    query: Annotated[ItemsQuery, Query()],
) -> Page[Item]:
    """A page may have fewer items than asked for, or none, and a next one all the same."""
    path, stream = f"/interventions/{intervention}/items", stream_name("intervention", intervention)
    [after] = position(path, query, BY_VERSION) or (0,)
    searched = after + _SEARCHED
    async with services.database.connection() as connection:
        newest = await stream_reader.newest_version(connection, stream)
        if newest is None:
            raise await _unseen(services, intervention)
        found = await _told(connection, stream, query, after, searched)
        sagas = [one.data["saga"] for one in found]
        standing = await statuses(connection, services.app.saga_board.table, sagas)
    next_ = (searched,) if searched < newest else None
    if len(found) > query.limit:
        found = found[: query.limit]
        next_ = (found[-1].version,)
    items = [
        Item(
            saga=one.data["saga"],
            step=one.data["step"],
            status=one.data["heard"],
            said=one.data["said"],
            at=one.recorded_at,
            became=became(one.data["heard"], standing.get(one.data["saga"])),
        )
        for one in found
    ]
    return page(items, next_, path, query, response)


@router.get(
    "/interventions/{intervention}/outcomes",
    summary="How those that were told stand now",
    dependencies=[needs("sagas:read")],
    responses=responses(
        "not-found", "read-model-behind", "database-unavailable", "temporal-unavailable"
    ),
)
async def show_outcomes(services: ServicesDep, intervention: Id) -> Outcomes:
    """Completed, compensated, parked again: of the first 2,000 that were told."""
    stream, board = stream_name("intervention", intervention), services.app.saga_board.table
    async with services.database.connection() as connection:
        if await stream_reader.newest_version(connection, stream) is None:
            raise await _unseen(services, intervention)
        counts = await outcomes(connection, board, intervention)
    return Outcomes(intervention=intervention, counts=dict(counts))


@router.post(
    "/interventions/{intervention}/suspend",
    status_code=202,
    summary="Tell no sagas for now",
    dependencies=[needs("sagas:intervene"), *JSON_BODY],
    responses=responses("not-found", "intervention-ended", *UNAVAILABLE),
)
async def suspend(
    services: ServicesDep, actor: ActorDep, intervention: Id, asked: NewPause
) -> Pausing:
    """Those that were told stay told, the others wait until it is resumed. It stays suspended
    however long that is, and whichever processes end meanwhile. Suspended twice is suspended once.
    """
    await services.steering.suspend_in_many(intervention, asked.attribution(actor))
    links = _links(services, intervention)
    return Pausing(intervention=intervention, status="suspended", links=links)


@router.post(
    "/interventions/{intervention}/resume",
    status_code=202,
    summary="Go on with those that were not told",
    dependencies=[needs("sagas:intervene"), *JSON_BODY],
    responses=responses("not-found", "intervention-ended", *UNAVAILABLE),
)
async def resume(
    services: ServicesDep, actor: ActorDep, intervention: Id, asked: NewPause
) -> Pausing:
    """One that is not suspended goes on as it does."""
    await services.steering.resume_in_many(intervention, asked.attribution(actor))
    links = _links(services, intervention)
    return Pausing(intervention=intervention, status="running", links=links)


@router.post(
    "/interventions/{intervention}/stop",
    status_code=202,
    summary="Tell no more sagas",
    dependencies=[needs("sagas:intervene"), *JSON_BODY],
    responses=responses("not-found", "intervention-ended", *UNAVAILABLE),
)
async def stop(
    services: ServicesDep, actor: ActorDep, intervention: Id, asked: NewStop
) -> Stopping:
    """Those that were told stay told, the others are left alone. Stopped twice is stopped once."""
    await services.steering.stop_in_many(intervention, asked.attribution(actor))
    return Stopping(intervention=intervention, links=_links(services, intervention))


async def dry_run(services: Services, which: Filter) -> DryRun:
    """All parked sagas that match, counted, and those that have waited the longest."""
    now = datetime.now(UTC)
    wanted, until = which.to_domain(), which.until(now)
    board = services.app.saga_board.table
    async with services.database.connection() as connection:
        stakes = await saga_board.parked_stakes(connection, board, wanted, until=until)
        found = await saga_board.parked(connection, board, wanted, until=until, limit=_SHOWN)
    sagas = []
    for row in found.rows:
        step = which.step or row.step
        since = datetime.fromisoformat(row.waiting[step]["since"])
        sagas.append(
            Found(
                saga=row.saga,
                saga_type=row.saga_type,
                step=step,
                cause=row.waiting[step]["cause"],
                seconds=round((now - since).total_seconds(), 1),
                at_stake=Money.at_stake(row.at_stake, row.currency),
                links=services.links(row.saga),
            )
        )
    return DryRun(
        count=sum(one.count for one in stakes),
        at_stake=[money for one in stakes if (money := Money.at_stake(one.at_stake, one.currency))],
        sagas=sagas,
    )


async def _told(
    connection: AsyncConnection, stream: str, query: ItemsQuery, after: int, upto: int
) -> Sequence[stream_reader.StoredEvent]:
    """One more than asked for, which tells whether there is a next page."""
    return await stream_reader.read(
        connection,
        stream,
        after=after,
        limit=query.limit + 1,
        type_=SagaTold.__name__,
        data={"heard": query.status} if query.status else {},
        upto=upto,
    )


async def _unseen(services: Services, intervention: str) -> Problem:
    if await services.processes.known(stream_name("intervention", intervention), of=IN_MANY):
        return Problem("read-model-behind", f"{intervention} has begun", retry_after=1)
    return Problem("not-found", f"there is no intervention {intervention}")


def _of(services: Services, row: InterventionRow) -> InterventionInMany:
    told = row.accepted + row.refused + row.unreachable
    return of_row(
        InterventionInMany,
        row,
        filter={name: value for name, value in row.which.items() if value},
        correction=orjson.loads(row.correction) if row.correction not in {"", ERASED} else None,
        remaining=0 if row.state == "finished" else max(0, row.found - told),
        links=_links(services, row.intervention),
    )


def _links(services: Services, intervention: str) -> Links:
    workflow = stream_name("intervention", intervention)
    return {
        "intervention": f"/interventions/{intervention}",
        "items": f"/interventions/{intervention}/items",
        "outcomes": f"/interventions/{intervention}/outcomes",
        "stop": f"/interventions/{intervention}/stop",
        "suspend": f"/interventions/{intervention}/suspend",
        "resume": f"/interventions/{intervention}/resume",
        "stream": f"/streams/{workflow}",
        **services.in_temporal_ui(workflow),
    }

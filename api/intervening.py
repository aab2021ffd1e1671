"""Interventions in many sagas at once: a dry run, the run, its progress, its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from api import recorded
from api.context import JSON_BODY, ActorDep, Services, ServicesDep
from api.idempotency import Answered, OptionalKey, Requests, once, required_key
from api.interventions import HowToGoOn, Stepping
from api.paging import BY_TIME, BY_VERSION, Page, PageQuery, page, position
from api.problems import Problem, at, in_header, responses
from api.words import ID_PATTERN, Asked, Id, Links, Money, Name
from domain.kernel import stream_name
from domain.sagas.interventions import Heard, InterveneInMany, Kind, SagaTold, Which
from projections import intervention_board, saga_board
from projections.intervention_board import InterventionRow, State
from projections.saga_board import Waits
from workflows.intervening import Stop

router = APIRouter(tags=["sagas"])

_ROUTE: Final = "POST /interventions"
_LEASE: Final = timedelta(seconds=20)
_SHOWN: Final = 50
"""How many sagas a dry run shows: those that have waited the longest."""


class Filter(Asked):
    """The parked sagas that are meant: all that is given has to hold."""

    saga_type: Name | None = None
    step: Name | None = None
    failure: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="A text within the cause, in any case."
    )
    merchant: Id | None = None
    older_than_seconds: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, description="Parked for at least so long."
    )

    def waits(self, now: datetime) -> Waits:
        older = self.older_than_seconds
        return Waits(
            saga_type=self.saga_type,
            step=self.step,
            failure=self.failure,
            merchant=self.merchant,
            until=now - timedelta(seconds=older) if older else None,
        )

    def to_domain(self) -> Which:
        return Which(**self.model_dump(exclude_none=True))


class NewInterventionInMany(HowToGoOn):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "filter": {"step": "BookShipment", "failure": "503"},
                    "kind": "retry",
                    "reason": "the carrier is back",
                    "dry_run": True,
                }
            ]
        }
    )

    filter: Filter = Field(description="At least one of its members is needed.")
    per_second: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="How many sagas are told in a second at most."
    )
    dry_run: bool = Field(strict=True, description="Only look which sagas would be told.")

    def check(self) -> None:
        super().check()
        if not self.filter.model_dump(exclude_none=True):
            said = "say which sagas are meant, by at least one member"
            raise Problem("invalid-request", f"#/filter: {said}", [at("#/filter", said)])
        if self.kind == "correct" and self.filter.step is None:
            said = "a correction fits one kind of step: name it"
            raise Problem("invalid-request", f"#/filter/step: {said}", [at("#/filter/step", said)])


class Found(BaseModel):
    saga: str
    saga_type: str
    step: str
    cause: str
    seconds: float = Field(description="How long it has been parked.")
    at_stake: Money
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
    """`remaining` have not been told yet, or not any more where it was stopped."""

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
    """`said` is why a saga refused, or that it could not be reached."""

    saga: str
    step: str
    status: Heard
    said: str
    at: datetime


class ItemsQuery(PageQuery):
    status: Heard | None = None


class NewStop(Stepping):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "it made it worse"}]})


class Stopping(BaseModel):
    intervention: str
    status: Literal["stopping"] = "stopping"
    links: Links


@router.post(
    "/interventions",
    status_code=202,
    summary="Let many parked sagas go on",
    response_model=Begun,
    dependencies=JSON_BODY,
    responses={
        200: {"model": DryRun, "description": "Which sagas would be told, where it is a dry run"},
        **responses(
            "malformed-request",
            "malformed-header",
            "idempotency-key-missing",
            "idempotency-in-flight",
            "body-too-large",
            "unsupported-media-type",
            "invalid-request",
            "idempotency-key-reused",
            "database-unavailable",
            "temporal-unavailable",
        ),
    },
)
async def intervene_in_many(
    services: ServicesDep, actor: ActorDep, key: OptionalKey, asked: NewInterventionInMany
) -> Response:
    """Tells every parked saga that matches, each once, at most so many in a second. What is parked
    later is left alone. The Idempotency-Key is the intervention's id. A dry run needs none, and
    only shows which sagas are meant.
    """
    asked.check()
    if asked.dry_run:
        found = await _dry_run(services, asked.filter)
        return Answered(200, found.model_dump(mode="json")).response()
    id_ = _id(key)

    async def work() -> Answered:
        await services.steering.start_in_many(_to_domain(asked, id_, asked.actor or actor))
        body = Begun(intervention=id_, links=_links(services, id_))
        return Answered(202, body.model_dump(mode="json"), {"Location": f"/interventions/{id_}"})

    kept = Requests(services.database)
    return await once(kept, _ROUTE, id_, asked=asked, lease=_LEASE, work=work)


@router.get(
    "/interventions",
    summary="List interventions in many sagas, newest first",
    responses=responses("bad-cursor", "invalid-request", "database-unavailable"),
)
async def list_interventions(
    services: ServicesDep, response: Response, query: Annotated[PageQuery, Query()]
) -> Page[InterventionInMany]:
    after = position("/interventions", query, BY_TIME)
    async with services.database.connection() as connection:
        found = await intervention_board.interventions(connection, after=after, limit=query.limit)
    items = [_of(services, row) for row in found.rows]
    return page(items, found.next, "/interventions", query, response)


@router.get(
    "/interventions/{intervention}",
    summary="How far an intervention has come",
    responses=responses(
        "not-found",
        "invalid-request",
        "read-model-behind",
        "database-unavailable",
        "temporal-unavailable",
    ),
)
async def show_intervention(services: ServicesDep, intervention: Id) -> InterventionInMany:
    """It appears a moment after it was begun; until then the answer is 503 with Retry-After."""
    async with services.database.connection() as connection:
        row = await intervention_board.intervention(connection, intervention)
    if row is None:
        raise await _unseen(services, intervention)
    return _of(services, row)


@router.get(
    "/interventions/{intervention}/items",
    summary="What became of each saga",
    responses=responses(
        "not-found",
        "bad-cursor",
        "invalid-request",
        "read-model-behind",
        "database-unavailable",
        "temporal-unavailable",
    ),
)
async def list_items(
    services: ServicesDep,
    response: Response,
    intervention: Id,
    query: Annotated[ItemsQuery, Query()],
) -> Page[Item]:
    path, stream = f"/interventions/{intervention}/items", stream_name("intervention", intervention)
    [after] = position(path, query, BY_VERSION) or (0,)
    async with services.database.connection() as connection:
        if await recorded.newest_version(connection, stream) is None:
            raise await _unseen(services, intervention)
        found = await _told(connection, stream, query, after)
    more = len(found) > query.limit
    found = found[: query.limit]
    items = [
        Item(
            saga=one.data["saga"],
            step=one.data["step"],
            status=one.data["heard"],
            said=one.data["said"],
            at=one.recorded_at,
        )
        for one in found
    ]
    return page(items, (found[-1].version,) if more else None, path, query, response)


@router.post(
    "/interventions/{intervention}/stop",
    status_code=202,
    summary="Tell no more sagas",
    dependencies=JSON_BODY,
    responses=responses(
        "malformed-request",
        "malformed-header",
        "not-found",
        "intervention-ended",
        "body-too-large",
        "unsupported-media-type",
        "invalid-request",
        "temporal-unavailable",
        "worker-unavailable",
    ),
)
async def stop(
    services: ServicesDep, actor: ActorDep, intervention: Id, asked: NewStop
) -> Stopping:
    """Those that were told stay told, the others are left alone. Stopped twice is stopped once."""
    wish = Stop(actor=asked.actor or actor, reason=asked.reason)
    await services.steering.stop_in_many(intervention, wish)
    return Stopping(intervention=intervention, links=_links(services, intervention))


async def _dry_run(services: Services, which: Filter) -> DryRun:
    now = datetime.now(UTC)
    waits = which.waits(now)
    async with services.database.connection() as connection:
        stakes = await saga_board.parked_stakes(connection, waits)
        found = await saga_board.parked(connection, waits, limit=_SHOWN)
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
                at_stake=Money.of(row.at_stake, row.currency),
                links=services.links(row.saga),
            )
        )
    return DryRun(
        count=sum(one.count for one in stakes),
        at_stake=[Money.of(one.at_stake, one.currency) for one in stakes],
        sagas=sagas,
    )


async def _told(
    connection: AsyncConnection, stream: str, query: ItemsQuery, after: int
) -> Sequence[recorded.StoredEvent]:
    """One more than asked for, which tells whether there is a next page."""
    return await recorded.read(
        connection,
        stream,
        after=after,
        limit=query.limit + 1,
        type_=SagaTold.__name__,
        data={"heard": query.status} if query.status else {},
    )


async def _unseen(services: Services, intervention: str) -> Problem:
    if await services.processes.known(stream_name("intervention", intervention)):
        return Problem("read-model-behind", f"{intervention} has begun", retry_after=1)
    return Problem("not-found", f"there is no intervention {intervention}")


def _id(key: str | None) -> str:
    id_ = required_key(key)
    if not re.fullmatch(ID_PATTERN, id_):
        said = "it is the intervention's id: 1 to 64 letters, digits and _ . -"
        raise Problem(
            "malformed-header", f"Idempotency-Key: {said}", [in_header("Idempotency-Key", said)]
        )
    return id_


def _to_domain(asked: NewInterventionInMany, id_: str, actor: str) -> InterveneInMany:
    return InterveneInMany(
        intervention=id_,
        which=asked.filter.to_domain(),
        kind=asked.kind,
        actor=actor,
        reason=asked.reason,
        per_second=asked.per_second,
        evidence=asked.evidence or "",
        happened=asked.happened,
        correction=orjson.dumps(asked.correction).decode() if asked.correction else "",
    )


def _of(services: Services, row: InterventionRow) -> InterventionInMany:
    told = row.accepted + row.refused + row.unreachable
    return InterventionInMany(
        intervention=row.intervention,
        state=row.state,
        kind=row.kind,
        filter={name: value for name, value in row.which.items() if value},
        actor=row.actor,
        reason=row.reason,
        evidence=row.evidence,
        happened=row.happened,
        correction=orjson.loads(row.correction) if row.correction else None,
        per_second=row.per_second,
        found=row.found,
        accepted=row.accepted,
        refused=row.refused,
        unreachable=row.unreachable,
        remaining=0 if row.state == "finished" else max(0, row.found - told),
        stopped_by=row.stopped_by,
        stop_reason=row.stop_reason,
        began_at=row.began_at,
        ended_at=row.ended_at,
        updated_at=row.updated_at,
        links=_links(services, row.intervention),
    )


def _links(services: Services, intervention: str) -> Links:
    workflow = stream_name("intervention", intervention)
    return {
        "intervention": f"/interventions/{intervention}",
        "items": f"/interventions/{intervention}/items",
        "stop": f"/interventions/{intervention}/stop",
        "stream": f"/streams/{workflow}",
        **services.in_temporal_ui(workflow),
    }

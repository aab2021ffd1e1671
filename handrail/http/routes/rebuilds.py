"""Rebuilds of read models: requested here, done by a process with the owner's login."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.subscriptions.lag import lag
from handrail.http.access import needs
from handrail.http.dependencies import JSON_BODY, ActorDep, ServicesDep
from handrail.http.operator_reason import attribution
from handrail.http.problems import responses
from handrail.http.routes.parked_events import known_read_model
from handrail.http.schemas import Links, Name, Why
from handrail.projections import rebuild_requests
from handrail.projections.read_model import NEXT

router = APIRouter(tags=["consumers"])

_NEWEST: TextClause = text("SELECT coalesce(max(position), 0) FROM events")


class Rebuilding(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "rows were changed by hand"}]}
    )


class Rebuild(BaseModel):
    """`state` is `none`, `waiting` for a process that does it, `building`, `done` or `failed`.
    `percent` is how much of the history the new one has read, whoever began it; null where none is
    being built.
    """

    name: str
    state: str
    actor: str
    reason: str
    requested_at: datetime | None
    begun_at: datetime | None
    settled_at: datetime | None
    failed: str
    percent: int | None
    left: int | None = Field(description="Events that the new one has not read.")
    links: Links


@router.get(
    "/read-models/{name}/rebuild",
    summary="How far a read model is that is built anew",
    dependencies=[needs("consumers:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_rebuild(services: ServicesDep, name: Name) -> Rebuild:
    known_read_model(services, name)
    async with services.database.snapshot() as connection:
        last = await rebuild_requests.of(connection, name)
        found = await progress(connection, name)
    percent, left = found or (None, None)
    state = last.state if last else "none"
    return Rebuild(
        name=name,
        state="building" if found else state,
        actor=last.actor if last else "",
        reason=last.reason if last else "",
        requested_at=last and last.requested_at,
        begun_at=last and last.begun_at,
        settled_at=last and last.settled_at,
        failed=last.failed if last else "",
        percent=percent,
        left=left,
        links=_links(name),
    )


@router.post(
    "/read-models/{name}/rebuild",
    status_code=202,
    summary="Build a read model anew",
    dependencies=[needs("consumers:operate"), *JSON_BODY],
    responses=responses("not-found", "database-unavailable"),
)
async def rebuild(services: ServicesDep, actor: ActorDep, name: Name, body: Rebuilding) -> Rebuild:
    """Beside the one in use, from the first event; readers see the old rows until both are
    exchanged. `handrail projections rebuild --requested` does it, which `handrail up` runs.
    Requested while it is built, it is built once.
    """
    known_read_model(services, name)
    by = await attribution(services, body, actor)
    async with services.database.connection() as connection:
        await rebuild_requests.request(connection, name, by)
    return await show_rebuild(services, name)


async def progress(connection: AsyncConnection, name: str) -> tuple[int, int] | None:
    """Percent of the history that the one being built has read, and the events that are left; None
    where none is.
    """
    found = next((one for one in await lag(connection) if one.follower == name + NEXT), None)
    if found is None:
        return None
    newest = (await connection.execute(_NEWEST)).scalar_one()
    return percent_read(newest, found.events), found.events


def percent_read(newest: int, left: int) -> int:
    """Of a history up to the position `newest`."""
    return 100 * max(newest - left, 0) // newest if newest else 100


def _links(name: str) -> Links:
    return {"rebuild": f"/read-models/{name}/rebuild", "parked": f"/read-models/{name}/parked"}

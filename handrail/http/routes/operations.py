"""For those who run it: is it alive, is it ready, and how is it doing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.business_tables import BusinessTables
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.http import webhook_store
from handrail.http.access import needs
from handrail.http.database import Database
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.problems import ErrorItem, Problem, responses
from handrail.http.public import PUBLIC
from handrail.http.routes.consumers import parked_at_consumers
from handrail.http.schemas import of_row
from handrail.messaging.consumers import parked_messages
from handrail.notifications.operations import STANDING, standing_of
from handrail.projections.projection import Projection
from handrail.projections.saga_figures import figures
from handrail.projections.tables import forms
from handrail.webhook_endpoints import endpoints

router = APIRouter(tags=["operations"])

_LIMIT: Final = 3.0  # seconds
LAG_LIMIT: Final = 30.0
"""Seconds a read model may be behind before the API is not ready."""
_COLUMNS: Final = text(
    "SELECT attname::text FROM pg_attribute"
    " WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
)
_FIGURES_LAST: Final = 5.0
"""Seconds; several may scrape."""


class Health(BaseModel):
    status: Literal["alive"] = "alive"


class Behind(BaseModel):
    events: int
    seconds: float
    unowned: int
    parked: int
    waiting: int = Field(description="Shards that wait for newer code.")


class Projected(Behind):
    projection: str


class Following(Behind):
    follower: str


class Readiness(BaseModel):
    """`projections` says how far each read model is behind, `followers` who else follows the
    feed, such as the relay. These do not make it less ready: nobody reads here what they keep.
    """

    status: Literal["ready"] = "ready"
    checks: list[str]
    projections: list[Projected]
    followers: list[Following]


@router.get("/healthz", summary="Is the process alive?", dependencies=[PUBLIC])
async def healthz() -> Health:
    return Health()


@router.get(
    "/readyz", summary="Can it serve?", dependencies=[PUBLIC], responses=responses("not-ready")
)
async def readyz(services: ServicesDep) -> Readiness:
    """Asks PostgreSQL and Temporal, compares the database with what this code expects, and looks at
    how far the read models are behind. All who ask within a second get what one check found.
    """
    of_all = replace(services, database=services.unconfined)
    said, lags = await services.readiness.found(lambda: readiness(of_all))
    names_of_models = services.app.read_model_names
    wrong = [ErrorItem(parameter=name, detail=what) for name, what in said.items() if what]
    if wrong:
        names = ", ".join(str(one.parameter) for one in wrong)
        raise Problem("not-ready", f"not ready: {names}", wrong, retry_after=5)
    return Readiness(
        checks=list(said),
        projections=[
            of_row(Projected, one, projection=one.follower)
            for one in lags
            if one.follower in names_of_models
        ],
        followers=[of_row(Following, one) for one in lags if one.follower not in names_of_models],
    )


async def readiness(services: Services) -> tuple[Mapping[str, str], Sequence[Lag]]:
    """What is wrong by the name of each check, empty where nothing is; and how far all that follows
    the feed is behind.
    """
    lags: list[Lag] = []
    checks = {
        "postgres": _postgres(services.database),
        "migrations": _migrations(services),
        "read models": _read_models(services),
        "projections": _projections(services, lags),
        "temporal": _temporal(services),
    }
    said = await asyncio.gather(*map(_said, checks.values()))
    return dict(zip(checks, said, strict=True)), lags


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    dependencies=[needs("metrics:read")],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(services: ServicesDep) -> Response:
    """Without the database, too: then `handrail_database_up` is 0 and what it counts is old."""
    await services.figures.refresh(services)
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


class Figures:
    """Counts the database for the metrics, every few seconds at most."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._counted_at = -_FIGURES_LAST

    async def refresh(self, services: Services) -> None:
        async with self._lock:
            if time.monotonic() - self._counted_at < _FIGURES_LAST:
                return
            try:
                await _count(services)
            except Problem:
                services.metrics.database_up.set(0)
            else:
                services.metrics.database_up.set(1)
                self._counted_at = time.monotonic()


async def _count(services: Services) -> None:
    async with services.database.connection(_LIMIT) as connection:
        found, behind = await figures(connection), await lag(connection)
        webhooks = await webhook_store.left(connection, services.webhook_sources)
        parked = await parked_at_consumers(connection, services.app.consumers)
        unread = await parked_at_consumers(
            connection, services.app.consumers, of=parked_messages.waiting_counts
        )
        outbound = await endpoints.standing(connection)
        lanes = standing_of(tuple(row) for row in await connection.execute(text(STANDING)))
    measures = services.metrics
    for name, (streams, messages) in parked.items():
        measures.consumer_streams.labels(name).set(streams)
        measures.consumer_messages.labels(name).set(messages)
    for name, (streams, _) in unread.items():
        measures.consumer_waiting.labels(name).set(streams)
    for lane in lanes:
        measures.messages_waiting.labels(lane.lane).set(lane.waiting)
        measures.messages_overdue.labels(lane.lane).set(lane.seconds)
        measures.messages_stuck.labels(lane.lane, "parked").set(lane.parked)
        measures.messages_stuck.labels(lane.lane, "failed").set(lane.failed)
    measures.sagas.show(found)
    for (source, status), count in webhooks.items():
        measures.webhooks.labels(source, status).set(count)
    for state in ("active", "failing", "disabled"):
        measures.endpoints.labels(state).set(getattr(outbound, state))
    measures.deliveries.labels("waiting").set(outbound.waiting)
    measures.deliveries.labels("parked").set(outbound.parked)
    measures.deliveries_overdue.set(outbound.overdue_seconds)
    services.trend.note(behind)
    names = services.app.read_model_names
    for one in behind:
        shown = measures.projections if one.follower in names else measures.followers
        shown.show(one)


async def _said(check: Awaitable[str]) -> str:
    try:
        return await check
    except Problem as problem:
        return problem.detail


async def _postgres(database: Database) -> str:
    async with database.connection(_LIMIT) as connection:
        await connection.execute(text("SELECT 1"))
    return ""


async def _migrations(services: Services) -> str:
    async with services.database.connection(_LIMIT) as connection:
        found = await connection.execute(text("SELECT version_num FROM alembic_version"))
        versions = tuple(found.scalars())
    return await asyncio.to_thread(_not_reached, versions, services.app.tables)


async def _read_models(services: Services) -> str:
    async with services.database.connection(_LIMIT) as connection:
        found = await connection.execute(select(forms.c.name, forms.c.version))
        installed = {row.name: row.version for row in found}
        others = [one for one in services.app.read_models if installed.get(one.name) != one.version]
        wrong = [
            f"{one.name} is at version {installed.get(one.name)} and should be at {one.version}"
            for one in others
            if not await _has_columns(connection, one)
        ]
    return "; ".join(wrong)


async def _has_columns(connection: AsyncConnection, projection: Projection[Any]) -> bool:
    """Whether the table in use, of another version, can be read by this code all the same."""
    found = await connection.execute(_COLUMNS, {"table": projection.table.name})
    return {projection.name_of(one) for one in projection.columns} <= set(found.scalars())


async def _projections(services: Services, lags: list[Lag]) -> str:
    async with services.database.connection(_LIMIT) as connection:
        lags.extend(await lag(connection))
    names = {one.name for one in services.app.read_models}
    # What waits for newer code is no reason to take this process out of service: it serves on.
    behind = [
        one for one in lags if one.follower in names and one.seconds > LAG_LIMIT and not one.waiting
    ]
    return "; ".join(f"{one.follower} is {one.seconds:.0f} s behind" for one in behind)


async def _temporal(services: Services) -> str:
    return "" if await services.processes.reachable() else "Temporal cannot be reached"


@cache
def _not_reached(versions: tuple[str, ...], tables: BusinessTables | None) -> str:
    from handrail.migrations import not_reached  # noqa: PLC0415  # slow to import

    return not_reached(versions, tables)

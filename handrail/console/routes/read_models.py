"""Read models and subscribers: how far each is behind, and which rows stand still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import TextClause, text

from handrail.console.lag_drawing import trend_of
from handrail.console.rendering import page
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.routes.rebuilds import percent_read
from handrail.projections.parked_rows import parked
from handrail.projections.read_model import NEXT

router = APIRouter(dependencies=[needs("sagas:read", "audit:read")])

_SHARDS: TextClause = text("""
SELECT projection, coalesce(owner, '') AS owner, count(*) AS shards, max(moved_at) AS moved_at
FROM checkpoints GROUP BY 1, 2 ORDER BY 1, 2
""")


_STALLED: Final = timedelta(seconds=30)
_NEWEST: TextClause = text("SELECT coalesce(max(position), 0) FROM events")


@router.get("/console/read-models")
async def read_models(request: Request, services: ServicesDep) -> Response:
    """Three statements, however many there are; four while something is being built."""
    names = services.app.read_model_names
    async with services.database.snapshot() as connection:
        behind = await lag(connection)
        rows = await parked(connection)
        owners: dict[str, list[dict[str, object]]] = {}
        for one in (await connection.execute(_SHARDS)).mappings():
            owners.setdefault(one["projection"], []).append(dict(one))
        services.trend.note(behind)
        built = [one for one in behind if one.follower in names and one.follower.endswith(NEXT)]
        newest = (await connection.execute(_NEWEST)).scalar_one() if built else 0
    return await page(
        request,
        services,
        "read_models.html",
        models=[one for one in behind if one.follower in names and one not in built],
        building=[_progress(one, newest) for one in built],
        others=[one for one in behind if one.follower not in names],
        rows=rows,
        owners=owners,
        stalled=_stalled(behind, owners),
        trends={one.follower: trend_of(services.trend.of(one.follower)) for one in behind},
    )


def _stalled(behind: Sequence[Lag], owners: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """Those that have something to read, and that have not moved for half a minute."""
    long_ago = datetime.now(UTC) - _STALLED
    return {
        one.follower
        for one in behind
        if one.events
        and one.seconds > _STALLED.total_seconds()
        and all(each["moved_at"] < long_ago for each in owners.get(one.follower, ()))
    }


def _progress(one: Lag, newest: int) -> dict[str, object]:
    """How much of the history a read model has read that is being built."""
    return {
        "name": one.follower.removesuffix(NEXT),
        "percent": percent_read(newest, one.events),
        "left": one.events,
    }

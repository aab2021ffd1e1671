"""Read models and subscribers: how far each is behind, and which rows stand still."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy import TextClause, text

from handrail.console.rendering import page
from handrail.eventstore.subscriptions.lag import lag
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.projections.parked_rows import parked

router = APIRouter(dependencies=[needs("sagas:read", "audit:read")])

_SHARDS: TextClause = text("""
SELECT projection, coalesce(owner, '') AS owner, count(*) AS shards, max(moved_at) AS moved_at
FROM checkpoints GROUP BY 1, 2 ORDER BY 1, 2
""")


@router.get("/console/read-models")
async def read_models(request: Request, services: ServicesDep) -> Response:
    """Three statements, however many there are."""
    names = services.app.read_model_names
    async with services.database.connection() as connection:
        behind = await lag(connection)
        rows = await parked(connection)
        owners: dict[str, list[dict[str, object]]] = {}
        for one in (await connection.execute(_SHARDS)).mappings():
            owners.setdefault(one["projection"], []).append(dict(one))
    return await page(
        request,
        services,
        "read_models.html",
        models=[one for one in behind if one.follower in names],
        others=[one for one in behind if one.follower not in names],
        rows=rows,
        owners=owners,
    )

"""Now: what waits for a person, grouped by cause and step, and what was done just before."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from handrail.console.forms import see
from handrail.console.rendering import page
from handrail.eventstore.subscriptions.lag import lag
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.routes.consumers import parked_at_consumers
from handrail.projections import intervention_board, saga_board
from handrail.projections.parked_groups import ParkedGroup, parked_by_hour, parked_groups
from handrail.projections.parked_rows import parked as parked_rows

router = APIRouter(dependencies=[needs("sagas:read", "consumers:read", own_rows=True)])

_SHOWN: Final = 10


@router.get("/console")
async def now(request: Request, services: ServicesDep) -> Response:
    """Seven statements, however much waits. What waits is of all tenants: a principal that is
    confined to one is led to its sagas.
    """
    if not services.database.visible.everything:
        return see("/console/sagas")
    board = services.app.saga_board.table
    async with services.database.snapshot() as connection:
        groups = await parked_groups(connection, board)
        hours = await parked_by_hour(connection, board)
        awaiting = await saga_board.sagas(
            connection,
            services.app.saga_board,
            visible=services.database.visible,
            status="awaiting",
            limit=_SHOWN,
        )
        rows = await parked_rows(connection, _SHOWN)
        behind = await lag(connection)
        consumers = await parked_at_consumers(connection, services.app.consumers)
        before = await intervention_board.interventions(connection, limit=_SHOWN)
    most = max((one.count for one in hours), default=1)
    return await page(
        request,
        services,
        "now.html",
        groups=[{"group": one, "many": _many(one)} for one in groups],
        hours=[
            {"at": one.began, "count": one.count, "high": max(2, round(60 * one.count / most))}
            for one in hours
        ],
        awaiting=[
            {"saga": one.saga, "saga_type": one.saga_type, "step": one.step}
            for one in awaiting.rows
        ],
        rows=rows,
        elsewhere=[one for one in behind if one.parked and one.follower.startswith("relay")],
        consumers={name: found for name, found in consumers.items() if found[1]},
        before=before.rows,
    )


def _many(group: ParkedGroup) -> str:
    """The address at which all of the group are looked at, and told."""
    named = {"saga_type": group.saga_type, "step": group.step}
    if group.cause:
        named["failure"] = group.cause
    return f"/console/interventions/new?{urlencode(named)}"

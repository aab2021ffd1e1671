"""The box for any id, which every page has."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from handrail import bounds
from handrail.console.find import find
from handrail.console.forms import see
from handrail.console.rendering import page
from handrail.console.state import StateDep
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.schemas import text

router = APIRouter(dependencies=[needs("sagas:read", "audit:read")])


@router.get("/console/find")
async def look(
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    state: StateDep,
    id: Annotated[str, text(bounds.SOURCE), Query()],  # noqa: A002  # in the address
) -> Response:
    """Leads to the page of the first thing that has this id."""
    wanted = id.strip()
    found = await find(services, state.declared, principal, wanted)
    if found.hits:
        return see(found.hits[0].address)
    return await page(request, services, "found.html", code=404, id=wanted, looked=found.looked)

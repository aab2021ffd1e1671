"""Parked events of a read model: the rows that stand still, why, and their retry."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from handrail.console.actions import REBUILD, RETRY_ROW, RETRY_ROWS, offered
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.eventstore.unread_forms import unread_form
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.routes import parked_events as api
from handrail.http.routes import rebuilds
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Name

router = APIRouter()


@router.get("/console/read-models/{name}", dependencies=[needs("consumers:read")])
async def show(
    request: Request, services: ServicesDep, principal: PrincipalDep, name: Name
) -> Response:
    found = await api.show_parked_rows(services, name)
    offer = offered(
        RETRY_ROWS,
        principal,
        says="A projector applies what waits, each row in the order of its events, up to the first"
        " that fails again.",
        why_not="" if found.items else "no row stands still",
        path={"name": name},
    )
    building = await rebuilds.show_rebuild(services, name)
    ends = building.state in {"waiting", "building"}
    anew = offered(
        REBUILD,
        principal,
        says="Builds it from the first event beside the one in use. Readers see the old rows until"
        " both are exchanged, in one transaction. It loads the projectors meanwhile.",
        why_not=f"it is {building.state} already" if ends else "",
        path={"name": name},
    )
    return await page(
        request,
        services,
        "read_model.html",
        building=building.model_dump(),
        anew=anew,
        name=name,
        rows=[{**one.model_dump(), "does": what_to_do(one.cause)} for one in found.items],
        waiting=[one.model_dump() for one in found.waiting],
        retries=[one.model_dump() for one in found.retries],
        offer=offer,
    )


@router.get("/console/read-models/{name}/parked/{stream}", dependencies=[needs("consumers:read")])
async def show_row(
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    name: Name,
    stream: StreamName,
) -> Response:
    found = await api.show_parked_rows(services, name, stream)
    offer = offered(
        RETRY_ROW,
        principal,
        says="A projector applies what waits for the row in the order of its events, up to the"
        " first that fails again.",
        why_not="" if found.items else "the row does not stand still",
        path={"name": name, "stream": stream},
    )
    return await page(
        request,
        services,
        "parked_row.html",
        name=name,
        stream=stream,
        rows=[{**one.model_dump(), "does": what_to_do(one.cause)} for one in found.items],
        retries=[one.model_dump() for one in found.retries],
        offer=offer,
    )


@router.post("/console/read-models/{name}/rebuild", dependencies=[needs("consumers:operate")])
async def build_anew(request: Request, services: ServicesDep, name: Name) -> Response:
    wanted = model_of(rebuilds.Rebuilding, await form_of(request))
    await rebuilds.rebuild(services, await actor_in(request), name, wanted)
    return see(f"/console/read-models/{part(name)}")


@router.post("/console/read-models/{name}/retry", dependencies=[needs("consumers:operate")])
async def retry_rows(request: Request, services: ServicesDep, name: Name) -> Response:
    wanted = model_of(api.Retrying, await form_of(request))
    await api.retry_rows(services, await actor_in(request), name, wanted)
    return see(f"/console/read-models/{part(name)}")


@router.post(
    "/console/read-models/{name}/parked/{stream}/retry", dependencies=[needs("consumers:operate")]
)
async def retry_row(
    request: Request, services: ServicesDep, name: Name, stream: StreamName
) -> Response:
    wanted = model_of(api.Retrying, await form_of(request))
    await api.retry_row(services, await actor_in(request), name, stream, wanted)
    return see(f"/console/read-models/{part(name)}/parked/{part(stream)}")


def what_to_do(cause: str) -> str:
    """What puts right that an event is parked for this cause."""
    if form := unread_form(cause):
        return (
            f"Release code that reads {form[0]} v{form[1]}: it goes on by itself then, within a"
            " minute, and a retry does it at once."
        )
    return "Release code that can take the event, then retry: what is mended goes on in its order."

"""Consumers: what waits at each, and what a person does with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from handrail.console.actions import DISCARD_MESSAGE, RETRY_MESSAGES, offered
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.pagination import PageQuery
from handrail.http.problems import Problem
from handrail.http.routes import consumers as api
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Name

router = APIRouter()


@router.get("/console/consumers", dependencies=[needs("consumers:read")])
async def list_consumers(request: Request, services: ServicesDep) -> Response:
    found = await api.list_consumers(services)
    return await page(
        request, services, "consumers.html", items=[one.model_dump() for one in found.items]
    )


@router.get("/console/consumers/{name}", dependencies=[needs("consumers:read")])
async def show(
    request: Request, services: ServicesDep, name: Name, query: Annotated[PageQuery, Query()]
) -> Response:
    found = await api.list_parked(services, Response(), name, query)
    consumer = services.app.consumer(name)
    return await page(
        request,
        services,
        "consumer.html",
        consumer={
            "name": name,
            "vhost": consumer.vhost,
            "queue": consumer.queue,
            "repeated": consumer.repeated,
        },
        items=[one.model_dump() for one in found.items],
        next=found.next and f"/console/consumers/{part(name)}?{found.next.partition('?')[2]}",
    )


@router.get("/console/consumers/{name}/parked/{stream}", dependencies=[needs("consumers:read")])
async def show_stream(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    name: Name,
    stream: StreamName,
    query: Annotated[PageQuery, Query()],
) -> Response:
    try:
        items = (await api.show_parked(services, Response(), name, stream, query)).items
    except Problem as problem:
        if problem.slug != "not-found":
            raise
        items = []
    path = {"name": name, "stream": stream}
    why_not = "" if items else f"nothing of {stream} waits"
    first = f"version {items[0].version}" if items else "what waits first"
    offers = [
        offered(
            RETRY_MESSAGES,
            principal,
            says=f"Handles what waits of {stream} in its order, up to the first that fails again.",
            why_not=why_not,
            path=path,
        ),
        offered(
            DISCARD_MESSAGE,
            principal,
            says=f"Never handles {first}; those behind it follow on the next retry.",
            why_not=why_not,
            path=path,
            fields={"version": str(items[0].version)} if items else {},
        ),
    ]
    return await page(
        request,
        services,
        "parked_stream.html",
        name=name,
        stream=stream,
        items=[one.model_dump() for one in items],
        offers=offers,
    )


@router.post(
    "/console/consumers/{name}/parked/{stream}/retry", dependencies=[needs("consumers:operate")]
)
async def retry(
    request: Request, services: ServicesDep, name: Name, stream: StreamName
) -> Response:
    asked = model_of(api.Settling, await form_of(request))
    await api.retry(services, await actor_in(request), name, stream, asked)
    return see(f"/console/consumers/{part(name)}/parked/{part(stream)}")


@router.post(
    "/console/consumers/{name}/parked/{stream}/discard", dependencies=[needs("consumers:operate")]
)
async def discard(
    request: Request, services: ServicesDep, name: Name, stream: StreamName
) -> Response:
    asked = model_of(api.Discarding, await form_of(request))
    await api.discard(services, await actor_in(request), name, stream, asked)
    return see(f"/console/consumers/{part(name)}/parked/{part(stream)}")

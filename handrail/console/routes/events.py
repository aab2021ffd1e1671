"""Events: the search over all streams, and one event with its data and what caused it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from handrail import bounds
from handrail.console.event_pages import (
    FormMoment,
    attempts_of,
    entities_of,
    event_address,
    in_form,
    search_address,
    step_in,
)
from handrail.console.rendering import page, part
from handrail.console.state import state_of
from handrail.http import stream_reader
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.routes import events as api
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import whole
from handrail.messaging.envelope import id_of
from handrail.tenant_word import tenant_in

router = APIRouter(dependencies=[needs("audit:read", own_rows=True)])


class EventsForm(api.EventsQuery):
    """The query of `GET /events`, with moments as a form sends them."""

    since: FormMoment | None = None
    until: FormMoment | None = None


@router.get("/console/events")
async def search(
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    query: Annotated[EventsForm, Query()],
) -> Response:
    found = await api.search_events(services, Response(), query)
    asked = ("actor", "correlation", "saga", "type", "tenant")
    return await page(
        request,
        services,
        "events.html",
        items=[
            {
                **one.model_dump(exclude={"data", "links"}),
                "address": event_address(one.stream, one.version),
                "step": step_in(one.metadata),
                "entities": entities_of(state_of(request).declared, principal, one.stream),
            }
            for one in found.items
        ],
        next=found.next and f"/console{found.next}",
        tenant_word=services.app.tenant,
        query={
            **{name: getattr(query, name) or "" for name in asked},
            "since": in_form(query.since),
            "until": in_form(query.until),
        },
    )


@router.get("/console/events/{stream}/{version}")
async def show(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    stream: StreamName,
    version: Annotated[int, Path(), whole(bounds.VERSION, strict=False)],
) -> Response:
    """Three statements; the tree has as many events as that of the API."""
    async with services.database.connection() as connection:
        found = await stream_reader.read(
            connection, stream, after=version - 1, limit=1, upto=version
        )
    if not found:
        raise Problem("not-found", f"there is no event {id_of(stream, version)}")
    [event] = await services.personal.open([one.model_dump(mode="json") for one in found])
    causes = (await api.show_causes(services, stream, version)).model_dump()
    for one in _shown(causes):
        where, _, number = one["id"].rpartition("/")
        one["address"] = event_address(where, int(number))
    metadata = event["metadata"]
    return await page(
        request,
        services,
        "event.html",
        id=id_of(stream, version),
        stream=stream,
        version=version,
        event=event,
        text=orjson.dumps(event["data"], option=orjson.OPT_INDENT_2).decode(),
        causes=causes,
        attempts=attempts_of(causes["steps"]),
        entities=entities_of(state_of(request).declared, principal, stream),
        stream_address=f"/console/streams/{part(stream)}?after={version - 1}",
        actor=metadata.get("actor", ""),
        of_actor=search_address(actor=metadata.get("actor", "")),
        of_correlation=search_address(correlation=causes["correlation"]),
        tenant=tenant_in(metadata, services.app.tenant) or "",
        tenant_word=services.app.tenant,
        saga=metadata.get("saga", ""),
        trace=metadata.get("traceparent", ""),
    )


def _shown(causes: dict[str, Any]) -> list[dict[str, Any]]:
    """All events of the tree, each as the mapping that the page shows."""
    of_steps = [event for step in causes["steps"] for event in step["events"]]
    return [causes["event"], *causes["caused_by"], *causes["caused"], *of_steps]

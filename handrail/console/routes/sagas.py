"""Sagas: the list, and a saga with its drawing, its timeline and what can be done with it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter, ValidationError

from handrail.console.api_calls import caught_up
from handrail.console.drawing import drawing_of
from handrail.console.entities import pages_for, pages_with
from handrail.console.rendering import page, part
from handrail.console.saga_offers import offers_of
from handrail.console.saga_view import view_of
from handrail.console.state import state_of
from handrail.http.access import PrincipalDep, needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.problems import Problem
from handrail.http.routes import sagas as api
from handrail.http.schemas import SagaId
from handrail.http.start_input import last_attempt
from handrail.http.stream_place import StreamPlace
from handrail.sagas.definition import Saga
from handrail.sagas.events import SagaEnded
from handrail.sagas.saga_type import SagaType

router = APIRouter(dependencies=[needs("sagas:read", own_rows=True)])

STATUSES: Final = (
    *("running", "compensating", "awaiting", "parked", "completed", "refused", "compensated"),
)


@router.get("/console/sagas")
async def list_sagas(
    request: Request,
    services: ServicesDep,
    fresh: FreshnessDep,
    query: Annotated[api.SagasQuery, Query()],
) -> Response:
    found = await api.list_sagas(services, fresh, Response(), query)
    return await page(
        request,
        services,
        "sagas.html",
        items=[one.model_dump(mode="json") for one in found.items],
        next=found.next and f"/console{found.next}",
        statuses=STATUSES,
        types=list(services.app.saga_types),
        tenant_word=services.app.tenant,
        query={
            "status": query.status or "",
            "saga_type": query.saga_type or "",
            "tenant": query.tenant or "",
            "step": query.step or "",
        },
    )


@router.get("/console/sagas/{saga}")
async def show(
    *,
    request: Request,
    services: ServicesDep,
    fresh: FreshnessDep,
    principal: PrincipalDep,
    saga: SagaId,
    said: Annotated[str, Query(max_length=40, pattern="^[a-z -]*$")] = "",
    offered: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """`offered` is the version of the saga at which the buttons of the page were made."""
    found = (await api.show_saga(services, fresh, saga)).model_dump(mode="json")
    running = await running_saga(services, saga, found)
    view = view_of(running.saga, found["status"], found["timeline"], newest=running.is_newest)
    async with services.database.connection() as connection:
        about = await pages_with(connection, pages_for(state_of(request).declared, principal), saga)
    return await page(
        request,
        services,
        "saga.html",
        saga=found,
        view=view,
        of_example=running.of_example,
        drawing=drawing_of(view),
        offers=offers_of(services, principal, running.saga, view, found, key=uuid4().hex),
        entities=[
            {"title": one.title, "id": saga, "address": f"/console/{one.name}/{part(saga)}"}
            for one in about
        ],
        said=said,
        has_moved=0 < offered < found["version"],
        ended=found["ended_at"] is not None,
    )


@dataclass(frozen=True, kw_only=True)
class Running:
    """The definition by which a saga runs, and whether it is of its own input and shape."""

    saga: Saga
    is_newest: bool
    of_example: bool


async def running_saga(services: Services, saga: str, found: dict[str, Any]) -> Running:
    """Of the input that the saga's own stream has kept, or else of the type's example."""
    type_: SagaType[Any] | None = services.app.saga_types.get(found["saga_type"])
    if type_ is None:
        raise Problem("not-found", f"{found['saga_type']} is no type of saga of this release")
    told = await last_attempt(services.database, services.app.codec, saga)
    definition, of_example = type_.example(), True
    if told is not None and told.input:
        with suppress(ValidationError):
            asked = TypeAdapter(type(type_.example_input)).validate_json(told.input)
            definition, of_example = type_.steps(asked, type_.options()), False
    newest = found["shape"] in {None, definition.shape}
    return Running(saga=definition, is_newest=newest, of_example=of_example)


async def _following(
    request: Request,
    services: ServicesDep,
    saga: SagaId,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[api.Following]:
    """`after` is what the page shows, of the store as it is now."""
    place = api.place_of(last_event_id) if last_event_id else StreamPlace(after)
    async with api.followed(request, services, saga, place) as found:
        yield found


@router.get("/console/sagas/{saga}/events", response_class=EventSourceResponse)
async def follow(
    following: Annotated[api.Following, Depends(_following)], saga: SagaId
) -> AsyncIterable[ServerSentEvent]:
    """`changed`, once the board shows what happened; `ended`, once nothing more will."""
    yield ServerSentEvent(retry=2000)
    with suppress(Problem):  # the browser comes back, and may find it mended
        while found := await following.more():
            after = following.after = found[-1].version
            await caught_up(following.services, saga)
            yield ServerSentEvent(id=following.id, event="changed", data=after)
            if found[-1].type == SagaEnded.__name__:
                yield ServerSentEvent(id=following.id, event="ended", data=after)
                return

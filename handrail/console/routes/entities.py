"""The page of an entity: its state now or at a moment, its events, its sagas, and what each of its
fields was set by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.console.declared import Console, EntityPage
from handrail.console.event_pages import step_in
from handrail.console.rendering import page, part
from handrail.console.set_by import RowBlame, blame_of_row
from handrail.console.timeline import LATEST, SHOWN, Beside, beside, events_of, merged
from handrail.http.access import PrincipalDep, needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.problems import Problem
from handrail.http.schemas import Id, Moment
from handrail.kernel import stream_name
from handrail.projections import saga_board
from handrail.sagas.events import CancelRequested, SagaResumed, StepAnswered

_SAGAS: Final = 20
_MOMENT: Final = TypeAdapter(Moment)
_OF_PERSONS: Final = frozenset(one.__name__ for one in (CancelRequested, SagaResumed, StepAnswered))
_EVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_ALWAYS: Final = datetime(9999, 1, 1, tzinfo=UTC)


def router_of(console: Console) -> APIRouter:
    """A route for each page that the App declares."""
    router = APIRouter()
    for one in console.entities:
        router.add_api_route(
            f"/console/{one.name}/{{id}}",
            _showing(console, one),
            methods=["GET"],
            dependencies=[needs("sagas:read", "audit:read", one.scope)],
        )
    return router


def _showing(console: Console, entity: EntityPage) -> Any:
    async def show(
        *,
        request: Request,
        services: ServicesDep,
        fresh: FreshnessDep,
        principal: PrincipalDep,
        id: Id,  # noqa: A002  # in the address
        at: Annotated[str, Query(max_length=40)] = "",
        event: Annotated[int, Query(ge=0, le=SHOWN)] = 0,
        blame: Literal["", "all"] = "",
        before: Annotated[int, Query(ge=1, le=LATEST)] = LATEST,
    ) -> Response:
        """`at` is a moment in UTC, `event` the number of an event that the page shows, from 1: the
        state is that of then. Neither: of now. `blame` looks for what set each field in a history
        that is longer than the page shows, too. `before` is a position: the timeline is that of
        earlier events.
        """
        streams = [stream_name(one, id) for one in entity.projection.categories]
        streams += [stream_name("saga", saga) for saga in entity.sagas(id)]
        async with services.database.connection() as connection:
            events = await events_of(connection, streams, services.app.routing, before)
            sagas = await _sagas(services, connection, entity, id)
        moment = _moment(at, event, events)
        row = await fresh.row(entity.projection, id, as_of=moment)
        if row is None and not events:
            raise Problem("not-found", f"there is no {entity.title.lower()} {id}")
        async with services.database.connection() as connection:
            others = await _beside(
                connection,
                entity,
                id,
                row=row,
                events=events,
                before=before,
                scopes=principal.scopes,
            )
        is_long = len(events) == SHOWN and not blame
        set_by = RowBlame()
        if row is not None and not is_long:
            set_by = await blame_of_row(services, entity, id, moment, row)
        return await page(
            request,
            services,
            "entity.html",
            set_by=set_by,
            blame=str(request.url.include_query_params(blame="all").query) if is_long else "",
            entity={"name": entity.name, "title": entity.title, "is_tenant": entity.is_tenant},
            id=id,
            fields=_fields(console, principal.scopes, entity, row),
            exists=row is not None,
            moment=moment,
            at=f"{moment:%Y-%m-%dT%H:%M:%S}" if moment else "",
            event=event or len(events),
            events=len(events),
            timeline=[
                one if isinstance(one, Beside) else _shown(one, moment)
                for one in merged(events, others)
            ],
            before="" if before == LATEST else before,
            earlier=events[0]["position"] if len(events) == SHOWN else "",
            sagas=sagas,
            tenant_word=services.app.tenant,
        )

    return show


async def _beside(
    connection: AsyncConnection,
    entity: EntityPage,
    id_: str,
    *,
    row: Any,
    events: Sequence[Mapping[str, Any]],
    before: int,
    scopes: frozenset[str],
) -> Sequence[Beside]:
    """What is no event, of the time that the page is of; of what may be seen with these scopes."""
    is_oldest = len(events) < SHOWN
    since = _EVER if is_oldest or not events else events[0]["recorded_at"]
    until = _ALWAYS if before == LATEST or not events else events[-1]["recorded_at"]
    has_webhooks = entity.has_webhooks and "webhooks:read" in scopes
    is_notified = entity.notified and entity.notified_scope in scopes and row is not None
    recipient = getattr(row, entity.notified) if is_notified else ""
    return await beside(
        connection,
        subject=id_ if has_webhooks else "",
        about="" if recipient == id_ else id_,
        recipient=recipient,
        since=since,
        until=until,
    )


async def _sagas(
    services: Services, connection: AsyncConnection, entity: EntityPage, id_: str
) -> Sequence[Mapping[str, Any]]:
    board = services.app.saga_board.table
    if entity.is_tenant:
        found = await saga_board.sagas(
            connection,
            services.app.saga_board,
            visible=services.database.visible,
            tenant=id_,
            limit=_SAGAS,
        )
        return [
            {"saga": one.saga, "saga_type": one.saga_type, "status": one.status}
            for one in found.rows
        ]
    query = (
        select(board.c.saga, board.c.saga_type, board.c.status)
        .where(board.c.saga.in_(entity.sagas(id_)))
        .order_by(board.c.started_at)
    )
    return [dict(one) for one in (await connection.execute(query)).mappings()]


def _moment(at: str, event: int, events: Sequence[Mapping[str, Any]]) -> datetime | None:
    if at:
        try:
            return _MOMENT.validate_python(at if at.endswith("Z") or "+" in at else f"{at}Z")
        except ValidationError:
            said = "a moment in UTC, such as 2026-03-02T12:00:00"
            raise Problem("invalid-request", f"at: {said}") from None
    if 0 < event < len(events):
        found: datetime = events[event - 1]["recorded_at"]
        return found
    return None


def _fields(
    console: Console, scopes: frozenset[str], entity: EntityPage, row: Any
) -> Sequence[Mapping[str, Any]]:
    if row is None:
        return ()
    pages = {one.name: one for one in console.entities if one.scope in scopes}
    links = dict(entity.links)
    found = []
    for name in entity.shown:
        value = getattr(row, name)
        link = links.get(name, "")
        found.append(
            {
                "name": name,
                "value": _plain(value),
                "money": (value, row.currency) if name in entity.money else None,
                "is_time": isinstance(value, datetime),
                "link": f"/console/{link}/{part(value)}" if value and link in pages else "",
            }
        )
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def _kind(event: Mapping[str, Any]) -> str:
    """A saga writes about its steps into its own stream; there is also what persons decided."""
    if not event["stream"].startswith("saga-"):
        return "event"
    return "intervention" if event["type"] in _OF_PERSONS else "saga step"


def _shown(event: Mapping[str, Any], moment: datetime | None) -> Mapping[str, Any]:
    metadata = event["metadata"]
    return {
        "kind": _kind(event),
        "at": event["recorded_at"],
        "effective_at": event["data"].get("effective_at"),
        "message": event["message"],
        "stream": event["stream"],
        "version": event["version"],
        "type": event["type"],
        "actor": metadata.get("actor", ""),
        "saga": metadata.get("saga", ""),
        "step": step_in(metadata),
        "is_back": metadata.get("direction") == "undo",
        "data": event["data"],
        "is_later": moment is not None and event["recorded_at"] > moment,
    }

"""The page of an entity: its state now or at a moment, its events, its sagas, and what each of its
fields was set by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.console.declared import Console, EntityPage
from handrail.console.event_pages import JOURNAL
from handrail.console.rendering import page, part
from handrail.console.set_by import RowBlame, blame_of_row
from handrail.http.access import PrincipalDep, needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.problems import Problem
from handrail.http.schemas import Id, Moment
from handrail.kernel import stream_name
from handrail.projections import saga_board

_SHOWN: Final = 300
"""How many events an entity's page shows, the newest."""
_SAGAS: Final = 20
_MOMENT: Final = TypeAdapter(Moment)

# A range of an index for each stream that has this id.
_EVENTS: Final[TextClause] = text("""
SELECT e.position, e.stream, e.version, e.type, e.data, e.metadata, e.recorded_at
FROM unnest(CAST(:streams AS text[])) AS s (name)
CROSS JOIN LATERAL (
    SELECT * FROM events e WHERE e.stream = s.name ORDER BY e.version DESC LIMIT :limit
) e
ORDER BY e.position DESC LIMIT :limit
""")


def router_of(console: Console) -> APIRouter:
    """A route for each page that the App declares."""
    router = APIRouter()
    for one in console.entities:
        router.add_api_route(
            f"/console/{one.name}/{{id}}",
            _showing(one),
            methods=["GET"],
            dependencies=[needs("sagas:read", "audit:read", one.scope)],
        )
    return router


def _showing(entity: EntityPage) -> Any:
    async def show(
        *,
        request: Request,
        services: ServicesDep,
        fresh: FreshnessDep,
        principal: PrincipalDep,
        id: Id,  # noqa: A002  # in the address
        at: Annotated[str, Query(max_length=40)] = "",
        event: Annotated[int, Query(ge=0, le=_SHOWN)] = 0,
        blame: Literal["", "all"] = "",
    ) -> Response:
        """`at` is a moment in UTC, `event` the number of an event that the page shows, from 1: the
        state is that of then. Neither: of now. `blame` looks for what set each field in a history
        that is longer than the page shows, too.
        """
        async with services.database.connection() as connection:
            events = await _events(connection, entity, id)
            sagas = await _sagas(services, connection, entity, id)
        moment = _moment(at, event, events)
        row = await fresh.row(entity.projection, id, as_of=moment)
        if row is None and not events:
            raise Problem("not-found", f"there is no {entity.title.lower()} {id}")
        is_long = len(events) == _SHOWN and not blame
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
            fields=_fields(services, principal.scopes, entity, row),
            exists=row is not None,
            moment=moment,
            at=f"{moment:%Y-%m-%dT%H:%M:%S}" if moment else "",
            event=event or len(events),
            events=[_shown(one, moment) for one in reversed(events)],
            sagas=sagas,
            tenant_word=services.app.tenant,
            temporal_ui=services.temporal_ui,
        )

    return show


async def _events(
    connection: AsyncConnection, entity: EntityPage, id_: str
) -> Sequence[Mapping[str, Any]]:
    """The newest, the oldest of them first: those that its row is folded from, and its sagas'."""
    streams = [stream_name(category, id_) for category in entity.projection.categories]
    streams += [stream_name("saga", saga) for saga in entity.sagas(id_)]
    asked = {"streams": list(dict.fromkeys(streams)), "limit": _SHOWN}
    found = (await connection.execute(_EVENTS, asked)).mappings()
    return [dict(one) for one in found][::-1]


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
    services: Services, scopes: frozenset[str], entity: EntityPage, row: Any
) -> Sequence[Mapping[str, Any]]:
    if row is None:
        return ()
    pages = {one.name: one for one in services.app.console.entities if one.scope in scopes}
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


def _shown(event: Mapping[str, Any], moment: datetime | None) -> Mapping[str, Any]:
    metadata = event["metadata"]
    step = metadata.get("step", "")
    return {
        "at": event["recorded_at"],
        "stream": event["stream"],
        "version": event["version"],
        "type": event["type"],
        "actor": metadata.get("actor", ""),
        "saga": metadata.get("saga", ""),
        "step": "" if step.startswith(JOURNAL) else step,
        "is_back": metadata.get("direction") == "undo",
        "data": event["data"],
        "is_later": moment is not None and event["recorded_at"] > moment,
    }

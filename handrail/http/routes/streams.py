"""The audit trail: every event of a stream, as it was stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from handrail import bounds
from handrail.http import stream_reader
from handrail.http.access import needs
from handrail.http.api_examples import NEUTRAL
from handrail.http.dependencies import ServicesDep
from handrail.http.pagination import BY_VERSION, Page, PageQuery, page, position
from handrail.http.problems import Problem, responses
from handrail.http.schemas import text
from handrail.http.stream_reader import StoredEvent

router = APIRouter(tags=["audit"])

StreamName = Annotated[str, text(bounds.STREAM)]


@router.get(
    "/streams/{stream}",
    summary="The events of a stream",
    description=NEUTRAL.streams,
    dependencies=[needs("audit:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_stream(
    services: ServicesDep,
    response: Response,
    stream: StreamName,
    query: Annotated[PageQuery, Query()],
) -> Page[StoredEvent]:
    path = f"/streams/{stream}"
    after = position(path, query, BY_VERSION)
    async with services.database.connection() as connection:
        newest = await stream_reader.newest_version(connection, stream)
        if newest is None:
            raise Problem("not-found", f"there is no stream {stream}")
        found = await stream_reader.read(
            connection, stream, after=after[0] if after else 0, limit=query.limit
        )
    last = found[-1].version if found else newest
    return page(found, (last,) if last < newest else None, path, query, response)

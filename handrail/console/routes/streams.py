"""A stream: its events as they are stored, with who caused each."""

from __future__ import annotations

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Request, Response

from handrail.console.rendering import page, part
from handrail.http import stream_reader
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.routes.streams import StreamName

router = APIRouter(dependencies=[needs("audit:read")])

_PAGE: Final = 50


@router.get("/console/streams/{stream}")
async def show(
    request: Request,
    services: ServicesDep,
    stream: StreamName,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """Those behind the version `after`; two statements."""
    async with services.database.connection() as connection:
        newest = await stream_reader.newest_version(connection, stream)
        if newest is None:
            raise Problem("not-found", f"there is no stream {stream}")
        found = await stream_reader.read(connection, stream, after=after, limit=_PAGE)
    events = await services.personal.open([one.model_dump(mode="json") for one in found])
    last = found[-1].version if found else newest
    id_ = stream.partition("-")[2]
    return await page(
        request,
        services,
        "stream.html",
        stream=stream,
        newest=newest,
        after=after,
        events=[
            {**one, "text": orjson.dumps(one["data"], option=orjson.OPT_INDENT_2).decode()}
            for one in events
        ],
        next=f"/console/streams/{part(stream)}?after={last}" if last < newest else "",
        find=f"/console/find?id={part(id_)}",
        id=id_,
    )

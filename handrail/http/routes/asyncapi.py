"""The AsyncAPI document, beside the OpenAPI document: what events there are, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import orjson
from fastapi import APIRouter, Response

from handrail.http.public import PUBLIC
from handrail.messaging.contracts.schemas import Schema


def router_of(document: Callable[[], Schema]) -> APIRouter:
    """The route `/asyncapi.json`. The document is made when it is first asked for."""
    routes = APIRouter(dependencies=[PUBLIC])

    @cache
    def encoded() -> bytes:
        return orjson.dumps(document())

    @routes.get("/asyncapi.json", include_in_schema=False)
    async def asyncapi() -> Response:
        return Response(encoded(), media_type="application/json")

    return routes

"""The AsyncAPI document, beside the OpenAPI document: what events there are, and where."""

from __future__ import annotations

from functools import cache

import orjson
from fastapi import APIRouter, Response

from handrail.messaging.contracts.asyncapi import document

router = APIRouter()


@router.get("/asyncapi.json", include_in_schema=False)
async def asyncapi() -> Response:
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    return orjson.dumps(document())

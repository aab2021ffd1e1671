"""The access log: a line for each request, without what a request says of a person.

A query, a header and a body may hold anything; so may a path that no route has, or whose ids were
not accepted. Of a query only the names are written, of such a path its route.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = re.compile(r"[a-z_]{1,40}")
_NOT_ACCEPTED: Final = frozenset({400, 404, 405, 422})
_MOST_NAMES: Final = 20
_log = structlog.get_logger(__name__)


class AccessLog:
    """Around an ASGI application; `request_id` is there where the application binds it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _log.debug(
                    "request answered",
                    method=scope["method"],
                    path=_path(scope, message["status"]),
                    query=_names(scope),
                    status=message["status"],
                    milliseconds=round((time.perf_counter() - began) * 1000, 1),
                    client=(scope.get("client") or ("",))[0],
                )
            await send(message)

        await self._app(scope, receive, sent)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", ""))


def _path(scope: Scope, status: int) -> str:
    route = _route(scope)
    if not route:
        return "unmatched"
    return route if status in _NOT_ACCEPTED else str(scope["path"])


def _names(scope: Scope) -> Sequence[str]:
    if not _route(scope):
        return ()
    asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return sorted({name for name, _ in asked if _NAME.fullmatch(name)})[:_MOST_NAMES]

"""ConsoleMiddleware: signs requests of a browser in by its cookie, and shows problems as pages.

Whatever refuses a request below, it answers with problem details; under `/console` these become a
page. Outside of `/console` nothing is touched, and the cookie counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handrail.console.rendering import HEADERS, render_alone
from handrail.console.session import ConsoleSessions
from handrail.http.problem_types import ProblemType
from handrail.http.problems import MEDIA_TYPE

ROOT: Final = "/console"
SIGN_IN: Final = f"{ROOT}/sign-in"
_NOT_SIGNED_IN: Final = 401
_READS: Final = frozenset({"GET", "HEAD"})


def is_console(path: str) -> bool:
    """Whether an address is one of the console's."""
    return path == ROOT or path.startswith(f"{ROOT}/")


class ConsoleMiddleware:
    """The outermost: what any other middleware refuses becomes a page, too."""

    def __init__(self, app: ASGIApp, sessions: ConsoleSessions, title: str) -> None:
        self._app = app
        self._sessions = sessions
        self._title = title

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_console(scope["path"]):
            await self._app(scope, receive, send)
            return
        scope = _without_empty(self._signed_in(scope))
        held: Message | None = None
        body = b""

        async def sent(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and _is_problem(message):
                held = message
                return
            if held is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                await self._show(scope, held, body, send)

        await self._app(scope, receive, sent)

    def _signed_in(self, scope: Scope) -> Scope:
        credentials = self._sessions.credentials(scope)
        if credentials is None or "authorization" in Headers(scope=scope):
            return scope
        header = (b"authorization", f"Bearer {credentials}".encode())
        return {**scope, "headers": [*scope["headers"], header]}

    async def _show(self, scope: Scope, start: Message, body: bytes, send: Send) -> None:
        problem = orjson.loads(body)
        headers = MutableHeaders(raw=list(start["headers"]))
        if start["status"] == _NOT_SIGNED_IN and scope["method"] in _READS:
            next_ = scope["path"]
            if query := scope.get("query_string", b"").decode("latin-1"):
                next_ += f"?{query}"
            is_fragment = "hx-request" in Headers(scope=scope)
            name = "hx-redirect" if is_fragment else "location"  # the whole page, not the part
            headers[name] = f"{SIGN_IN}?{urlencode({'next': next_})}"
            headers["content-length"] = "0"
            del headers["content-type"]
            status = 200 if is_fragment else 303
            await send({**start, "status": status, "headers": headers.raw})
            await send({"type": "http.response.body", "body": b""})
            return
        html = render_alone(
            "problem.html",
            problem=problem,
            remedy=_remedy(scope, problem["type"]),
            business=self._title,
            sign_in=SIGN_IN,
        ).encode()
        headers.update(HEADERS)
        headers["content-type"] = "text/html; charset=utf-8"
        headers["content-length"] = str(len(html))
        await send({**start, "headers": headers.raw})
        await send({"type": "http.response.body", "body": html})


def _remedy(scope: Scope, type_: str) -> str:
    """What the page of the problem's type says to do about it."""
    kinds: Mapping[str, ProblemType] = scope["app"].state.problem_types
    kind = kinds.get(type_.rpartition("/")[2])
    return kind.remedy if kind else ""


def _without_empty(scope: Scope) -> Scope:
    """A browser sends the fields of a form that were left empty: they say nothing."""
    query = scope.get("query_string", b"").decode("latin-1")
    parts = [one for one in query.split("&") if one and not one.endswith("=")]
    return {**scope, "query_string": "&".join(parts).encode("latin-1")}


def _is_problem(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return kind.partition(";")[0] == MEDIA_TYPE

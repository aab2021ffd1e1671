"""What surrounds every request: its id, its measure, its headers, and an answer in any case."""

from __future__ import annotations

import re
import time
import traceback
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handrail import bounds
from handrail.eventstore.codec import UnknownMessage
from handrail.http.metrics import Metrics
from handrail.http.problem_types import PROBLEM_TYPES
from handrail.http.problems import Problem, answer, unavailable
from handrail.http.request_origin import RequestOrigin
from handrail.http.request_span import answered, request_span

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What an answer has unless its route says something else."""
_INPUT: Final = re.compile(r"input_value=.*(?=, input_type=)")
"""What pydantic says of a value that it refuses: the value."""
MAX_BODY: Final = bounds.REQUEST_BYTES
_log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Plain ASGI: Starlette's own base class for middleware would cut streams and lose context."""

    def __init__(self, app: ASGIApp, metrics: Metrics, origin: RequestOrigin) -> None:
        self._app = app
        self._metrics = metrics
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid4().hex
        scope["handrail.request_id"] = request_id
        began = time.perf_counter()
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), request_id)
                self._metrics.answered(scope, status, time.perf_counter() - began)
                answered(span, scope, status)
            await send(message)

        trace = Headers(scope=scope).get("traceparent", "")
        with (
            request_span(scope, trace, request_id) as span,
            structlog.contextvars.bound_contextvars(request_id=request_id),
        ):
            try:
                self._origin.check(scope)
                await self._app(scope, _limited(receive), sent)
            except Problem as refused:
                await answer(refused, Request(scope))(scope, receive, sent)
            except UnknownMessage as unread:
                if status:
                    raise
                _log.warning("request waits for newer code", form=str(unread), path=scope["path"])
                problem = unavailable("newer-code", f"{unread} is of a newer release")
                await answer(problem, Request(scope))(scope, receive, sent)
            except Exception as error:
                # As text: what renders tracebacks may show local variables, and secrets with them.
                said = _INPUT.sub("input_value=…", "".join(traceback.format_exception(error)))
                path, method = scope["path"], scope["method"]
                _log.error("request failed", method=method, path=path, exception=said)
                if status:
                    raise  # half an answer is out: only a broken connection says that it is half
                problem = Problem("internal-error", PROBLEM_TYPES["internal-error"].meaning)
                await answer(problem, Request(scope))(scope, receive, sent)


def _limited(receive: Receive) -> Receive:
    """The framework's own limit would answer in plain text, behind our back."""
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HTTPException(413)
        return message

    return received


def _complete(headers: MutableHeaders, request_id: str) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers["X-Request-Id"] = request_id

"""The span of an HTTP request: in the trace that its `traceparent` names, or in one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import INVALID_SPAN, Span
from starlette.types import Scope

from handrail.tracing import spans

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR = 500


@contextmanager
def request_span(scope: Scope, traceparent: str, request_id: str) -> Iterator[Span]:
    """W3C Trace Context: a header of another form is passed over. Without an exporter the trace of
    the caller goes on all the same, with what the request begins.
    """
    context = spans.context_of(traceparent)
    if not spans.is_on():
        with spans.attached(context):
            yield INVALID_SPAN
        return
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    said = {"http.request.method": method, "handrail.request_id": request_id}
    with spans.started(method, context, said, spans.SERVER) as opened:
        yield opened


def answered(span: Span, scope: Scope, status: int) -> None:
    """The route, as it is declared: a path has ids in it, which are without bound."""
    if not span.is_recording():
        return
    route = getattr(scope.get("route"), "path", "")
    if route:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_attribute("error.type", str(status))

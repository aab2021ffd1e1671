"""Spans of OpenTelemetry, and the trace context that is kept beside events (`traceparent`).

Without an exporter (`handrail.tracing.export`) OpenTelemetry records nothing, and what is here
costs next to nothing. A context that goes into a store, a queue or a history is never that of a
span in a process which may be killed before it has exported it, but that of the request that began
it all: `docs/decisions/0042-one-trace.md`.

No attribute holds a payload, and no span an exception's message: both may hold personal texts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

TRACEPARENT: Final = "traceparent"
"""The key of a trace context: in the metadata of events, in headers of HTTP and of messages."""
INTERNAL, SERVER, CLIENT = SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT
PRODUCER, CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER
LINKS: Final = 128
"""How many links a batch has at most; as many as OpenTelemetry keeps by default."""
_FORM: Final = TraceContextTextMapPropagator()
_STORED: Final = create_key("handrail-stored-traceparent")
_NANO: Final = 1_000_000_000


def tracer() -> Tracer:
    return _tracer_of(trace.get_tracer_provider())


@lru_cache(maxsize=4)
def _tracer_of(provider: trace.TracerProvider) -> Tracer:
    return provider.get_tracer("handrail")


def is_on() -> bool:
    """Whether this process has an exporter, or another implementation of OpenTelemetry."""
    provider = trace.get_tracer_provider()
    return not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def traceparent() -> str:
    """The current trace context (W3C Trace Context); empty where there is none."""
    found: dict[str, str] = {}
    _FORM.inject(found)
    return found.get(TRACEPARENT, "")


def context_of(header: str) -> Context:
    """The context that a `traceparent` names; an empty one where it has another form."""
    return _FORM.extract({TRACEPARENT: header}, Context()) if header else Context()


def is_sampled(header: object) -> bool:
    """Whether spans are recorded in the trace that a `traceparent` names."""
    return isinstance(header, str) and header[-1:] in _SAMPLED


_SAMPLED: Final = frozenset("13579bdf")
"""The last digit of a context's flags, where its lowest bit is set."""


@contextmanager
def attached(context: Context) -> Iterator[None]:
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


@contextmanager
def span(
    name: str, attributes: Attributes = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A child of the current span; where that is not recorded, nothing."""
    if not trace.get_current_span().is_recording():
        yield INVALID_SPAN
        return
    with started(name, None, attributes, kind) as opened:
        yield opened


@contextmanager
def started(
    name: str,
    context: Context | None,
    attributes: Attributes = None,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """A span in a context, current as long as the block lasts; None is the current context.

    An exception marks it as failed, by its class alone.
    """
    with (
        nullcontext() if context is None else attached(context),
        tracer().start_as_current_span(
            name,
            None,
            kind,
            attributes,
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as opened,
    ):
        try:
            yield opened
        except Exception as error:
            failed(opened, error)
            raise


def failed(opened: Span, error: BaseException) -> None:
    """Mark a span as failed, by the class of the exception: its message may hold a text."""
    kind = type(error).__name__
    opened.set_attribute("error.type", kind)
    opened.set_status(Status(StatusCode.ERROR, kind))


def ended(
    name: str,
    context: Context,
    began: int,
    attributes: Attributes = None,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    until: int | None = None,
) -> None:
    """A span of what began at `began` and ended at `until`: nanoseconds of the clock. None: now."""
    opened = tracer().start_span(name, context, kind, attributes, start_time=began)
    opened.end(max(until or time.time_ns(), began))


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * _NANO)


@contextmanager
def handling(
    name: str, metadata: Mapping[str, Any], attributes: Attributes = None
) -> Iterator[Span]:
    """The handling of an event, in the trace that its metadata names; no span where they name none
    that is sampled. What is stored meanwhile names the same context, and not this span.
    """
    header = metadata.get(TRACEPARENT)
    if not (is_sampled(header) and is_on()):
        yield INVALID_SPAN
        return
    context = set_value(_STORED, header, context_of(str(header)))
    with started(name, context, attributes, CONSUMER) as opened:
        yield opened


def stored_traceparent() -> str | None:
    """The context to keep beside what is stored for a later process; None where it has none."""
    found = get_value(_STORED)
    return found if isinstance(found, str) else None


@contextmanager
def batch(
    name: str,
    events: Iterable[tuple[Mapping[str, Any], datetime]],
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[Span]:
    """The handling of many events at once: a trace of its own, linked to that of each event.

    Each event is its metadata and the moment when it was stored. Where none is in a trace that is
    sampled there is no span.
    """
    if not is_on():
        yield INVALID_SPAN
        return
    sampled = [
        (header, stored)
        for metadata, stored in events
        if is_sampled(header := metadata.get(TRACEPARENT))
    ]
    if not sampled:
        yield INVALID_SPAN
        return
    headers = list(dict.fromkeys(str(header) for header, _ in sampled))[:LINKS]
    contexts = (trace.get_current_span(context_of(one)).get_span_context() for one in headers)
    links = [Link(one) for one in contexts if one.is_valid]
    waited = time.time_ns() - nanoseconds(min(stored for _, stored in sampled))
    more = {"handrail.outbox_wait_seconds": max(waited, 0) / _NANO}
    with started(name, Context(), {**(attributes or {}), **more}, CONSUMER, links) as opened:
        yield opened


def waited_in_outbox(
    subscriber: str, metadata: Mapping[str, Any], stored: datetime, event: str, taken: int
) -> None:
    """A span of the time from the append of an event until a subscriber took it up, at `taken` in
    nanoseconds.
    """
    header = metadata.get(TRACEPARENT)
    if is_sampled(header):
        attributes = {"handrail.subscriber": subscriber, "handrail.event": event}
        context, began = context_of(str(header)), nanoseconds(stored)
        ended("outbox wait", context, began, attributes, until=taken)


@contextmanager
def publishing(exchange: str, traceparent: str, message: str | None) -> Iterator[None]:
    """The publishing of an event, in its trace; no span where that is not sampled."""
    if not (is_sampled(traceparent) and is_on()):
        yield
        return
    said = {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "send",
        "messaging.destination.name": exchange,
        "messaging.message.id": message or "",
    }
    with started(f"publish {exchange}", context_of(traceparent), said, PRODUCER):
        yield


def consumed(consumer: str, metadata: Mapping[str, Any], message: str, came: int) -> None:
    """A span from the arrival of a message, at `came` in nanoseconds, until it is acknowledged."""
    header = metadata.get(TRACEPARENT)
    if is_sampled(header) and is_on():
        said = {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "receive",
            "messaging.consumer.group.name": consumer,
            "messaging.message.id": message,
        }
        ended(f"consume {consumer}", context_of(str(header)), came, said, CONSUMER)

"""Sends the spans of a process to an OpenTelemetry collector, as the standard variables say.

It is on where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, and
needs the extra `otel`. `docs/observability.md` has the variables.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from handrail.optional_deps import require_extra
from handrail.refused_settings import refuse

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_SECONDS: Final = 3.0
"""How long the end of a process waits for a collector to take what it has not sent yet."""
EXPORT_EVERY: Final = 1000
"""Milliseconds between two exports, where OTEL_BSP_SCHEDULE_DELAY says nothing else. A process that
is killed loses the spans of that time.
"""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OFF: Final = "none"
_SAMPLERS: Final = {
    "always_on": False,
    "always_off": False,
    "traceidratio": True,
    "parentbased_always_on": False,
    "parentbased_always_off": False,
    "parentbased_traceidratio": True,
}
"""And whether each takes a ratio."""
_NUMBERS: Final = (
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
)
_MOST: Final = 1_000_000


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces. Ends the process where it does so wrongly."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    given = [name for name in _ENDPOINTS if environment.get(name)]
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter == _OFF or not given:
        return False
    for mistake in _mistakes(environment, exporter, given):
        refuse(mistake)
    return True


def _mistakes(
    environment: Mapping[str, str], exporter: str, endpoints: Sequence[str]
) -> Iterator[str]:
    if exporter != "otlp":
        yield "OTEL_TRACES_EXPORTER: must be otlp or none"
    for name in endpoints:
        if not _is_address(environment[name]):
            yield f"{name}: must be an address such as http://collector:4318"
    for name in _PROTOCOLS:
        if environment.get(name, "") not in {"", "http/protobuf"}:
            yield f"{name}: must be http/protobuf, the protocol that the extra otel brings"
    sampler = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    if sampler not in _SAMPLERS:
        yield f"OTEL_TRACES_SAMPLER: must be one of {', '.join(_SAMPLERS)}"
    elif _SAMPLERS[sampler] and not _is_ratio(environment.get("OTEL_TRACES_SAMPLER_ARG", "")):
        yield "OTEL_TRACES_SAMPLER_ARG: must be a ratio from 0 to 1, such as 0.1"
    for name in _NUMBERS:
        text = environment.get(name) or "1"
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _MOST):
            yield f"{name}: must be a whole number from 1 to {_MOST}"


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def start(process: str) -> None:
    """Export the spans of this process from now on, where the environment asks for that.

    At the end of the process what is left is sent, for at most FLUSH_SECONDS. Ends the process
    where a variable is wrong, or the extra `otel` is missing.
    """
    if not is_wanted():
        return
    require_extra("otel", "opentelemetry.sdk", "opentelemetry.exporter")
    from opentelemetry import trace  # noqa: PLC0415  # the SDK, only where it is used

    provider = _provider(process)
    trace.set_tracer_provider(provider)
    atexit.register(_flush, provider)


def _provider(process: str) -> TracerProvider:
    # They are of the extra, and load what most processes do without.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    from handrail.tracing.local_trees import LocalTrees  # noqa: PLC0415
    from handrail.tracing.sampling import sampler  # noqa: PLC0415

    attributes = {
        "handrail.process": process,
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        attributes["service.name"] = f"handrail-{process}"
    provider = TracerProvider(
        sampler=sampler(), resource=Resource.create(attributes), shutdown_on_exit=False
    )
    delay = None if os.environ.get("OTEL_BSP_SCHEDULE_DELAY") else EXPORT_EVERY
    batches = BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=delay)
    provider.add_span_processor(LocalTrees(batches))
    return provider


def _flush(provider: TracerProvider) -> None:
    """In a thread of its own, since a collector that is away is asked again for longer."""
    last = threading.Thread(target=provider.shutdown, daemon=True)
    last.start()
    last.join(FLUSH_SECONDS)

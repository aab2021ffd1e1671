"""An OpenTelemetry collector: takes spans over OTLP/HTTP, and puts them together as traces."""

from __future__ import annotations

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Collected:
    """A span as it was exported; ids in hexadecimal, times in nanoseconds."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, Any]
    links: Sequence[tuple[str, str]]
    """The trace and the span of each."""
    events: int


@dataclass
class Collector:
    address: str = ""
    spans: list[Collected] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def trace_of(self, id_: str) -> list[Collected]:
        return [one for one in self.spans if one.trace == id_]

    def linked_to(self, id_: str) -> list[Collected]:
        return [one for one in self.spans if any(trace == id_ for trace, _ in one.links)]

    def orphans(self) -> list[Collected]:
        """Whose parent, or span of a link, is none that came here."""
        known = {(one.trace, one.id) for one in self.spans}
        return [
            one
            for one in self.spans
            if (one.parent and (one.trace, one.parent) not in known)
            or any(link not in known for link in one.links)
        ]

    def tree(self, id_: str) -> str:
        """A trace as people read it: what began what, where, after how long and for how long."""
        below: dict[str, list[Collected]] = defaultdict(list)
        spans = self.trace_of(id_)
        for one in sorted(spans, key=lambda span: span.began):
            below[one.parent].append(one)
        first = min(one.began for one in spans)

        def lines(parent: str, depth: int) -> Iterator[str]:
            for one in below[parent]:
                at, took = (one.began - first) / 1e6, (one.ended - one.began) / 1e6
                name = "  " * depth + one.name
                yield f"{name:<52} {one.process:<24} {at:>9.1f} ms {took:>9.1f} ms"
                yield from lines(one.id, depth + 1)

        linked = [f"{one.name:<52} {one.process:<24} linked" for one in self.linked_to(id_)]
        return "\n".join([*lines("", 0), *linked])


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else None
    return [_value(one) for one in found.values] if kind == "array_value" else found


def _attributes(found: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in found}


def _collected(request: ExportTraceServiceRequest) -> Iterator[Collected]:
    for resource in request.resource_spans:
        process = str(_attributes(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Collected(
                    process=process,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    links=[(one.trace_id.hex(), one.span_id.hex()) for one in span.links],
                    events=len(span.events),
                )


@contextmanager
def collecting(folder: Path | None = None) -> Iterator[Collector]:
    """A collector on a free port of this machine, as long as the block lasts. What comes is kept in
    the folder, too, as it came.
    """
    collector = Collector()
    if folder:
        folder.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.raw.append(body)
            if folder:
                (folder / uuid4().hex).write_bytes(body)
            collector.spans += _collected(ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""The figures of a process that has no HTTP API, where Prometheus finds them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server


@contextlib.contextmanager
def served(
    registry: CollectorRegistry, port: int | None, host: str = "127.0.0.1"
) -> Iterator[None]:
    """With those of the process itself, as long as the block lasts; no port: nowhere."""
    if port is None:
        yield
        return
    ProcessCollector(registry=registry)
    server, thread = start_http_server(port, addr=host, registry=registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Serves an ASGI application until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from handrail.http.access_log import AccessLog
from handrail.http.http_protocol import HttpBounds, bounded
from handrail.processes.server_certificate import ServerCertificate
from handrail.readiness import ready
from handrail.settings import Settings

_HEADER_BYTES: Final = 16 * 1024
"""Of a request's first line and headers together."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are ours: uvicorn would raise them again after it has stopped


async def serve(
    app: Any,
    settings: Settings,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    certificate: ServerCertificate | None = None,
) -> None:
    """Serve on the port (0: one that is free), say that it is ready, and end gracefully.

    With a certificate over TLS; it is read again when its file changes.
    """
    scheme = "https" if certificate else "http"
    with _listening(host, port) as listener:
        server = _Server(
            uvicorn.Config(
                AccessLog(app) if settings.log_level == "debug" else app,
                log_config=None,
                http=bounded(
                    HttpBounds(
                        connections=settings.api_connections,
                        receive_seconds=settings.api_receive_seconds,
                        stalled_seconds=settings.api_stalled_seconds,
                    )
                ),
                ws="none",
                h11_max_incomplete_event_size=_HEADER_BYTES,
                timeout_keep_alive=settings.api_keep_alive_seconds,
                access_log=False,  # whose lines have queries in them
                timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds)),
                ssl_context_factory=certificate.context if certificate else None,
            ),
            lambda: ready(settings, f"{scheme}://{host}:{listener.getsockname()[1]}"),
        )
        renewing = asyncio.create_task(certificate.renewed() if certificate else stop.wait())
        serving = asyncio.create_task(server.serve([listener]))
        asked = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            asked.cancel()
            renewing.cancel()
            await serving
        if not server.started:
            raise SystemExit("the application did not start: its log says why")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming TCP lets asyncio switch off Nagle's algorithm, which costs 40 ms an answer; a socket
    # of `socket.create_server` does not name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SystemExit(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.set_inheritable(True)
    return listener

"""HTTP/1.1 with deadlines: uvicorn's protocol, and what it lacks against clients that are slow.

uvicorn waits for the end of a request without a limit, and takes any number of connections. Here a
request has to arrive whole in time, a reader that stands still is cut off, a peer that is gone is
noticed, and connections beyond a bound are answered 503.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import uuid4

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from handrail.http.problem_types import PROBLEM_TYPES, ProblemType

_GONE_MILLISECONDS: Final = 30_000
"""How long a peer may leave unacknowledged what was sent to it."""
_REFUSED_SHARE: Final = 10
"""One connection in so many, beyond the bound, is answered; those beyond are cut."""
_AGAIN: Final = 5  # seconds


@dataclass(frozen=True, kw_only=True)
class HttpBounds:
    """`receive_seconds` is how long a request may take to arrive, from its first byte, or from the
    beginning of the connection, to its last; `stalled_seconds` how long a client may not read.
    """

    connections: int = 900
    receive_seconds: float = 20
    stalled_seconds: float = 60


def bounded(bounds: HttpBounds) -> type[H11Protocol]:
    """What `uvicorn.Config` takes as `http`."""
    return type("BoundedHttp", (BoundedH11Protocol,), {"bounds": bounds})


class BoundedH11Protocol(H11Protocol):
    bounds: ClassVar[HttpBounds] = HttpBounds()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _notice_when_gone(transport)
        most, there = self.bounds.connections, len(self.connections)
        if there > most and not self._make_room():
            if there > most + max(1, most // _REFUSED_SHARE):
                transport.abort()
                return
            self.app = _too_many_connections
        self._receive_in_time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._receive_in_time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._receive_in_time()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._received()
        self.resume_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            seconds = self.bounds.stalled_seconds
            self._stalled = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        del msg
        self._answer(PROBLEM_TYPES["malformed-request"])

    @property
    def idle(self) -> bool:
        """Whether it has answered all that came, and nothing of another request is there."""
        return (
            self.cycle is not None
            and self.cycle.response_complete
            and self.conn.their_state is h11.IDLE
            and not self.conn.trailing_data[0]
        )

    def _make_room(self) -> bool:
        """Closes a connection that is only kept, where there is one."""
        for one in self.connections:
            if isinstance(one, BoundedH11Protocol) and one.idle:
                one.timeout_keep_alive_handler()
                return True
        return False

    def _receive_in_time(self) -> None:
        """The deadline runs from the first byte of a request until its last one is here."""
        # Between two requests uvicorn's own limit on idle connections runs.
        if self.idle or self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._received()
        elif self._receiving is None:
            seconds = self.bounds.receive_seconds
            self._receiving = self.loop.call_later(seconds, self._too_slow)

    def _received(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _too_slow(self) -> None:
        self._receiving = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is us who do not read
            self._receive_in_time()
        elif self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._answer(PROBLEM_TYPES["request-timeout"])
        else:
            self.transport.close()

    def _answer(self, kind: ProblemType) -> None:
        """In place of the application, and the last answer of this connection."""
        body, headers = _problem(kind)
        events: list[h11.Event] = [
            h11.Response(status_code=kind.status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


async def _too_many_connections(scope: Any, _receive: Any, send: Any) -> None:
    kind = PROBLEM_TYPES["too-many-connections"]
    body, headers = _problem(kind, scope["path"])
    await send({"type": "http.response.start", "status": kind.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(kind: ProblemType, instance: str = "/") -> tuple[bytes, list[tuple[bytes, bytes]]]:
    request_id = uuid4().hex
    body = orjson.dumps(
        {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "instance": instance,
            "request_id": request_id,
            "errors": [],
        }
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(_AGAIN).encode()))
    return body, headers


def _notice_when_gone(transport: asyncio.Transport) -> None:
    """A peer that vanished acknowledges nothing; the kernel alone waits a quarter of an hour."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _GONE_MILLISECONDS // 1000),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _GONE_MILLISECONDS),
    ):
        if hasattr(socket, name):  # not every system has them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

"""An HTTP server is not kept busy by clients that send, read or stay without an end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from handrail.processes.asgi_server import serve
from handrail.settings import Settings

A_LONG_TIME = 20.0  # seconds
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body. Of `/endless` the answer has no end."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    length = [] if scope["path"] == "/endless" else [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    while scope["path"] == "/endless":
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"done"})


@asynccontextmanager
async def server(folder: Path, **bounds: Any) -> AsyncIterator[int]:
    """Its port."""
    file = folder / "ready"
    settings = Settings(ready_file=file, shutdown_seconds=1, **bounds)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(application, settings, "127.0.0.1", 0, stop))
    try:
        async with asyncio.timeout(A_LONG_TIME):
            while not file.exists():  # noqa: ASYNC110  # it is another's file
                await asyncio.sleep(0.005)
        yield int(file.read_text().rpartition(":")[2])
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection."""
    async with asyncio.timeout(A_LONG_TIME):
        return await reader.read()


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    found = json.loads(body)
    assert head.split()[1].decode() == str(found["status"])
    return found["status"], found["type"]


SLOW = {
    "nothing at all": b"",
    "half a first line": b"GET / HT",
    "headers without an end": b"GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
    "a chunked body without an end": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    ),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_request_that_does_not_arrive_in_time_is_answered_and_closed(
    tmp_path: Path, sent: bytes
) -> None:
    async with server(tmp_path, api_receive_seconds=0.3) as port, connected(port) as (reader, out):
        out.write(sent)
        assert problem_of(await all_of(reader)) == (408, "/problems/request-timeout")


async def test_a_drop_now_and_then_does_not_put_the_deadline_off(tmp_path: Path) -> None:
    async with server(tmp_path, api_receive_seconds=0.5) as port, connected(port) as (reader, out):
        answer = asyncio.create_task(all_of(reader))
        out.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        while not answer.done():
            out.write(b"x")
            await asyncio.sleep(0.02)
        assert problem_of(await answer) == (408, "/problems/request-timeout")


async def test_the_deadline_is_of_each_request_of_a_connection(tmp_path: Path) -> None:
    async with server(tmp_path, api_receive_seconds=0.5) as port, connected(port) as (reader, out):
        for _ in range(3):
            out.write(REQUEST)
            async with asyncio.timeout(A_LONG_TIME):
                assert b"200" in await reader.readuntil(b"done")
        out.write(b"GET / HT")
        assert problem_of(await all_of(reader)) == (408, "/problems/request-timeout")


async def test_an_idle_connection_is_closed_without_a_word(tmp_path: Path) -> None:
    async with server(tmp_path, api_keep_alive_seconds=1) as port, connected(port) as (reader, out):
        out.write(REQUEST)
        assert (await all_of(reader)).count(b"HTTP/1.1") == 1


@pytest.mark.thorough
async def test_a_reader_that_stands_still_is_cut_off(tmp_path: Path) -> None:
    async with server(tmp_path, api_stalled_seconds=0.3) as port:
        with socket.create_connection(("127.0.0.1", port)) as still:
            still.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            async with server_is_rid_of(port):
                pass


@asynccontextmanager
async def server_is_rid_of(port: int) -> AsyncIterator[None]:
    """No established connection is left at the port."""
    async with asyncio.timeout(A_LONG_TIME):
        while established(port):  # noqa: ASYNC110  # the kernel tells nobody
            await asyncio.sleep(0.02)
    yield


def established(port: int) -> int:
    """How many connections the kernel has as established on the server's side."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(one.split()[1].endswith(wanted) and one.split()[3] == "01" for one in lines)


async def test_connections_beyond_the_bound_are_answered_and_closed(tmp_path: Path) -> None:
    async with server(tmp_path, api_connections=10) as port, AsyncExitStack() as stack:
        for _ in range(10):
            _, out = await stack.enter_async_context(connected(port))
            out.write(b"GET / HT")
        reader, out = await stack.enter_async_context(connected(port))
        out.write(REQUEST)
        answer = await all_of(reader)
        assert problem_of(answer) == (503, "/problems/too-many-connections")
        assert b"retry-after: 5" in answer


async def test_a_crowd_that_only_connects_is_cut_without_an_answer(tmp_path: Path) -> None:
    async with server(tmp_path, api_connections=10) as port, AsyncExitStack() as stack:
        for _ in range(11):
            await stack.enter_async_context(connected(port))
        reader, _ = await stack.enter_async_context(connected(port))
        assert await all_of(reader) == b""


async def test_a_connection_that_is_only_kept_makes_room_for_one_that_asks(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"api_connections": 2, "api_keep_alive_seconds": 60}
    async with server(tmp_path, **kept) as port, AsyncExitStack() as stack:
        for _ in range(8):
            reader, out = await stack.enter_async_context(connected(port))
            out.write(REQUEST)
            async with asyncio.timeout(A_LONG_TIME):
                assert b"200" in await reader.readuntil(b"done")


@pytest.mark.thorough
async def test_what_half_open_connections_held_is_free_again(tmp_path: Path) -> None:
    bounds: dict[str, Any] = {"api_connections": 450, "api_receive_seconds": 0.5}
    async with server(tmp_path, **bounds) as port, AsyncExitStack() as stack:
        for _ in range(450):
            _, out = await stack.enter_async_context(connected(port))
            out.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        async with server_is_rid_of(port), httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "done"


async def test_headers_have_a_size_that_they_may_not_exceed(tmp_path: Path) -> None:
    async with server(tmp_path) as port, connected(port) as (reader, out):
        out.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 20_000)
        assert problem_of(await all_of(reader)) == (400, "/problems/malformed-request")


async def test_a_slow_answer_is_waited_for(tmp_path: Path) -> None:
    """The deadline is the client's, not the application's."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
            await asyncio.sleep(0.6)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"late"})

    file, stop = tmp_path / "ready", asyncio.Event()
    settings = Settings(ready_file=file, api_receive_seconds=0.2, shutdown_seconds=1)
    serving = asyncio.create_task(serve(slow, settings, "127.0.0.1", 0, stop))
    async with asyncio.timeout(A_LONG_TIME):
        while not file.exists():  # noqa: ASYNC110  # it is another's file
            await asyncio.sleep(0.005)
    async with httpx.AsyncClient() as client:
        assert (await client.get(file.read_text())).text == "late"
    stop.set()
    await serving

"""A connection to a server that a test can cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Wire:
    url: str
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def cut(self) -> None:
        """All connections at once, without a farewell."""
        for one in self.writers:
            one.transport.abort()
        self.writers.clear()


@asynccontextmanager
async def a_wire(url: str) -> AsyncIterator[Wire]:
    """`wire.url` leads to the server at `url`."""
    parts = urlsplit(url)
    wire = Wire("")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, beyond = await asyncio.open_connection(parts.hostname, parts.port)
        wire.writers |= {writer, beyond}
        for source, sink in ((reader, beyond), (far, writer)):
            task = asyncio.create_task(_carry(source, sink))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.url = f"{parts.scheme}://{parts.username}:{parts.password}@127.0.0.1:{port}"
    try:
        yield wire
    finally:
        server.close()
        await wire.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()

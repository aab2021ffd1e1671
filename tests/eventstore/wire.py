"""A wire between a client and PostgreSQL that can be cut just before the next answer arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.eventstore.interleaving import DEADLINE


@dataclass
class Wire:
    url: str
    lose_next_answer: bool = False
    round_trips: int = 0
    """How often the client has sent something after an answer."""
    _asks: bool = False

    def carries(self, *, answers: bool) -> None:
        self.round_trips += not answers and not self._asks
        self._asks = not answers


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    parts = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                wire.carries(answers=answers)
                if answers and wire.lose_next_answer:
                    wire.lose_next_answer = False
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(parts.hostname, parts.port)
        for task in (
            asyncio.create_task(copy(client, to_server, answers=False)),
            asyncio.create_task(copy(server, to_client, answers=True)),
        ):
            tasks.add(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    wire = Wire(url.replace(f"@{parts.hostname}:{parts.port}/", f"@127.0.0.1:{port}/"))
    try:
        yield wire
    finally:
        listener.close()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*tasks)
            await listener.wait_closed()

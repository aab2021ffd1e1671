"""One address for all APIs that serve: connections are handed to them in turns."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_PIECE = 65_536  # bytes


@asynccontextmanager
async def balanced(serving: Sequence[str], port: int) -> AsyncIterator[None]:
    """`serving` are the URLs; who connects while there is none is sent away, and comes again."""
    turns = itertools.count()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if serving:
                url = urlsplit(serving[next(turns) % len(serving)])
                there, back = await asyncio.open_connection(url.hostname, url.port)
                await asyncio.gather(_carry(reader, back), _carry(there, writer))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        yield


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()

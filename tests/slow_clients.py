"""`make slow-clients`: orders at an even pace, alone and beside slow clients and event streams.

Real processes, real sockets: a third of the slow clients drip headers, a third drip bodies, and a
third ask for long answers and do not read them. Those that the API cuts off come back. Both phases
are of one run, so what is compared is their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import orjson

from handrail.dev.stack import Stack
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.api.shop import open_shop, place, settled
from tests.release_drill.findings import delivered
from tests.release_drill.load import Load

SLOWER: Final = 2.0
"""The 95th percentile may be so many times that of before."""
_AT_ONCE: Final = 8
"""Orders under way while it is measured how many the machine takes."""
_BETWEEN: Final = 0.5  # seconds between the bytes of a slow client
_PIPELINED: Final = 20
"""Requests whose answers a slow reader never reads."""


@dataclass
class SlowClients:
    """Clients of one API, until they are cancelled; `seen` is what became of their connections."""

    host: str
    port: int
    wanted: int
    seen: Counter[str] = field(default_factory=Counter)
    open: int = 0
    are_open: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once nearly all that are wanted were open at the same time."""

    async def headers(self) -> None:
        await self._drip(b"GET /orders HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n", "headers")

    async def body(self) -> None:
        begins = (
            b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Idempotency-Key: slow\r\nContent-Length: 100000\r\n\r\n{"
        )
        await self._drip(begins, b" ", "bodies")

    async def reader(self) -> None:
        """With the smallest buffer that there is, so that the API's fill up."""
        ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * _PIPELINED
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.setblocking(False)
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, (self.host, self.port))
            await loop.sock_sendall(sock, ask)
            with self._held():
                while True:
                    await asyncio.sleep(2 * _BETWEEN)
                    if not await loop.sock_recv(sock, 1):
                        break
        finally:
            sock.close()
        self.seen["readers cut off"] += 1

    async def _drip(self, begins: bytes, piece: bytes, what: str) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(begins)
            with self._held():
                while not reader.at_eof():
                    writer.write(piece)
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_BETWEEN):
                            await reader.read(1_000)
        finally:
            writer.close()
        self.seen[f"{what} cut off"] += 1

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self.open += 1
        if self.open >= 0.95 * self.wanted:
            self.are_open.set()
        try:
            yield
        finally:
            self.open -= 1

    async def stream(self, saga: str) -> None:
        """The live events of a saga that goes on."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            ask = f"GET /sagas/{saga}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            writer.write(ask.encode())
            status = (await reader.readline()).decode().strip()
            if " 200 " not in f"{status} ":
                self.seen[f"streams: {status}"] += 1
                await asyncio.sleep(1)
                return
            with self._held():
                while await reader.read(65_536):
                    pass
        finally:
            writer.close()
        self.seen["streams ended"] += 1

    async def again_and_again(self, one: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await one()
            except OSError as error:
                self.seen[type(error).__name__] += 1
                await asyncio.sleep(_BETWEEN)


@dataclass(frozen=True)
class Measured:
    per_second: float
    before: float
    during: float
    failed: Counter[str]
    held: int
    seen: Counter[str]

    @property
    def ratio(self) -> float:
        return self.during / self.before if self.before else float("inf")


async def measure(
    folder: Path, *, slow: int, streams: int, seconds: float, share: float
) -> Measured:
    """Milliseconds of the 95th percentile of decisions, before and during; `held` is how many slow
    connections and streams were open at the end. The pace is a share of what the machine takes.
    """
    settings = ShopSettings(
        data_dir=folder,
        api_port=0,
        metrics_port=0,
        event_streams=max(1, streams),
        event_streams_per_client=max(1, streams),  # they all come from this machine
        step_patience_seconds=1,
        first_try_seconds=0.5,
    )
    async with Stack(HANDRAIL, settings, temporal_ui=False) as stack:
        parts = urlsplit(stack.api_url)
        clients = SlowClients(parts.hostname or "127.0.0.1", parts.port or 80, slow + streams)
        async with httpx.AsyncClient(base_url=stack.api_url, timeout=60) as api:
            placed = await place(api, await open_shop(api), wait=None, ship_to="addr_undeliverable")
            saga = placed.json()["saga"]
            await settled(api, saga, "parked")  # its stream goes on until a person decides
        load = Load([stack.api_url], "slow")
        await load.seed()
        per_second = share * await _fastest(load, stack.database_url, seconds / 2)
        await _phase(load, "before", seconds, per_second)
        kinds = (clients.headers, clients.body, clients.reader)
        with_all = [kinds[number % len(kinds)] for number in range(slow)]
        tasks = [asyncio.create_task(clients.again_and_again(one)) for one in with_all]
        tasks += [
            asyncio.create_task(clients.again_and_again(lambda: clients.stream(saga)))
            for _ in range(streams)
        ]
        try:
            async with asyncio.timeout(60):
                await clients.are_open.wait()
            await _phase(load, "during", seconds, per_second)
            held = clients.open
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return Measured(
        per_second, load.p95(["before"]), load.p95(["during"]), load.failed(), held, clients.seen
    )


async def _fastest(load: Load, database_url: str, seconds: float) -> float:
    """Orders a second until all have arrived: most of their work comes after the decision."""
    load.phase, began = "measuring", time.monotonic()
    await load.press(seconds, _AT_ONCE)
    return await delivered(database_url, load.orders()) / (time.monotonic() - began)


async def _phase(load: Load, name: str, seconds: float, per_second: float) -> None:
    load.phase = name
    stop = asyncio.Event()
    keeping = asyncio.create_task(load.keep(per_second, stop))
    await asyncio.sleep(seconds)
    stop.set()
    await keeping


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.4, help="of what the machine takes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="handrail-slow-") as folder:
        found = asyncio.run(
            measure(
                Path(folder),
                slow=asked.slow,
                streams=asked.streams,
                seconds=asked.seconds,
                share=asked.share,
            )
        )
    said = {
        "orders_per_second": round(found.per_second, 2),
        "p95_before_ms": round(found.before, 1),
        "p95_during_ms": round(found.during, 1),
        "ratio": round(found.ratio, 2),
        "failed": dict(found.failed),
        "held": found.held,
        "slow_clients": dict(found.seen),
    }
    print(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())  # noqa: T201  # what it is for
    return 0 if found.ratio <= SLOWER and not found.failed else 1


if __name__ == "__main__":
    sys.exit(main())

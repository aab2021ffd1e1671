"""What traces cost: checkouts a second without an exporter, with one in ten sampled, and with all.

`python -m benchmarks.traced`. Three processes take turns on the same servers; the collector takes
what comes and keeps nothing. The last line is JSON: medians, and each as a ratio to no exporter.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.contenders.turns import Turn, contender
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import EmbeddedTemporal
from handrail.migrations import upgrade
from handrail.process_exit import run_and_leave
from runtime.app import HANDRAIL

IN_FLIGHT: Final = 20
SAGAS: Final = 100
ROUNDS: Final = 8
"""The first is not counted."""
SHARES: Final = {"off": None, "tenth": "0.1", "all": "1"}
_APART: Final = 1_000_000
"""Numbers of orders between two contenders, who share a database."""


@contextmanager
def collector() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


async def run() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, collector() as address:
        async with (
            EmbeddedPostgres(Path(folder, "postgres")) as postgres,
            EmbeddedTemporal(
                Path(folder, "temporal"), ui=False, tenant=HANDRAIL.tenant
            ) as temporal,
            AsyncExitStack() as stack,
        ):
            await asyncio.to_thread(upgrade, postgres.url, "handrail_app")
            field = [
                await stack.enter_async_context(
                    contender(
                        name,
                        "benchmarks.contenders.traced",
                        (postgres.url, temporal.address, address if share else "", share or "1"),
                        log=Path(folder, f"{name}.log"),
                        servers={},
                    )
                )
                for name, share in SHARES.items()
            ]
            turns: dict[str, list[Turn]] = {name: [] for name in SHARES}
            for number in range(ROUNDS):
                for nth in range(len(field)):
                    place = (nth + number) % len(field)
                    one = field[place]
                    first = place * _APART + number * SAGAS
                    try:
                        turn = await one.turn(SAGAS, IN_FLIGHT, first=first)
                    except RuntimeError:
                        log = await asyncio.to_thread(Path(folder, f"{one.name}.log").read_text)
                        print(log[-4000:], file=sys.stderr)
                        raise
                    turns[one.name].append(turn)
    counted = {name: taken[1:] for name, taken in turns.items()}
    rate = {name: statistics.median(one.per_s for one in of) for name, of in counted.items()}
    used = {name: statistics.median(one.cpu_ms[name] for one in of) for name, of in counted.items()}
    found = {
        "name": "traced",
        "figures": {
            **{f"{name}_per_s": round(value, 1) for name, value in rate.items()},
            **{f"{name}_cpu_ms": round(value, 2) for name, value in used.items()},
        },
        "ratios": {
            **{f"{name}_throughput_vs_off": round(rate[name] / rate["off"], 3) for name in rate},
            **{f"{name}_cpu_vs_off": round(used[name] / used["off"], 3) for name in used},
        },
        "config": {"in_flight": IN_FLIGHT, "rounds": ROUNDS - 1, "sagas_per_turn": SAGAS},
    }
    print(orjson.dumps(found).decode())
    return 0


if __name__ == "__main__":
    run_and_leave(lambda: asyncio.run(run()))

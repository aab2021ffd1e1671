"""`make console-size`: every page of the console over ten thousand sagas and over a million.

One PostgreSQL with its default safety has both databases, and each has an API process of its own;
an operator signs in at both and asks for each page in turns. The ratio is that of one run, whatever
else the machine does. Filling a million takes about a quarter of an hour and 16 GB, which go at the
end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import psycopg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.reporting import bar
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.stack import Stack
from handrail.dev.supervisor import Service, free_port
from handrail.testing.database_copies import to_be_copied
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.console_size import asking, copying, seeding
from tests.console_size.asking import MILLISECONDS, RATIO, Figure, Side
from tests.console_size.seeding import Seeds

SMALL: Final = 10_000
LARGE: Final = 1_000_000
_SEEDS: Final = "handrail"
_DAYS: Final = {"small": 60, "large": 600}
"""On which operators acted."""
_DEAD: Final = 30
_WIDTH: Final = 80
_OF_A_SAGA: Final = 14_500
"""Bytes, with its events and indexes."""
_SERVERS: Final = 3 * 10**9
"""Bytes of what a server writes beside its tables."""
_MEANWHILE: Final = {"synchronous_commit": "off", "autovacuum": "off"}
"""While databases are filled."""


async def run(folder: Path, small: int, large: int, shown: Console) -> Sequence[Figure]:
    async with AsyncExitStack() as exits:
        postgres = await exits.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        url = postgres.url_of(_SEEDS)
        settings = ShopSettings(
            data_dir=folder,
            database_url=url,
            api_port=0,
            metrics_port=0,
            auth="keys",
            four_eyes="on",
            step_patience_seconds=30,
        )
        shown.print("A stack runs sixteen orders, which the databases are copied from.")
        stack = Stack(
            HANDRAIL, settings, broker=True, consumers=True, notifiers=1, temporal_ui=False
        )
        await exits.enter_async_context(stack)
        seeds = await seeding.sow(stack, url)
        if stack.rabbitmq is None:
            raise RuntimeError("the stack has no broker of its own")
        await seeding.dies(stack.rabbitmq, _DEAD)
        await _rest(stack)
        await copying.stage(url, seeds.marked)
        await to_be_copied(url)
        sizes = {"small": small, "large": large}
        await _administer(
            postgres, *(f"CREATE DATABASE {name} TEMPLATE {_SEEDS}" for name in sizes)
        )
        for worker in stack.workers:  # a page asks one for the input of a parked step
            await worker.start()
        with bar(shown) as progress:
            for name, sagas in sizes.items():
                await _filled(postgres, name, sagas, progress)
        for name in sizes:
            found = await copying.size_of(postgres.url_of(name))
            shown.print(
                f"{name}: {found['sagas']:,} sagas, {found['events']:,} events,"
                f" {found['bytes'] / 1e9:.1f} GB"
            )
        first, second = [
            await exits.enter_async_context(_side(stack, postgres.url_of(name), name, seeds))
            for name in sizes
        ]
        asked = await asking.with_second_pages([first, second], asking.pages())
        with bar(shown) as progress:
            task = progress.add_task("asking in turns", total=len(asked))
            figures = await asking.measure(first, second, asked, lambda: progress.advance(task))
    return figures


async def _rest(stack: Stack) -> None:
    """All that is at the database ends: it cannot be copied otherwise."""
    working = [*stack.notifiers, *stack.relays, *stack.consumers, *stack.projectors, *stack.workers]
    for service in [*working, *([stack.api] if stack.api else [])]:
        await service.stop()


async def _filled(postgres: EmbeddedPostgres, name: str, sagas: int, progress: Progress) -> None:
    await _administer(
        postgres,
        *(f"ALTER SYSTEM SET {one} = {value}" for one, value in _MEANWHILE.items()),
        "SELECT pg_reload_conf()",
    )
    url = postgres.url_of(name)
    plan = await copying.plan_for(url, sagas, _DAYS[name])
    task = progress.add_task(f"copying rows of {sagas:,} sagas", total=plan.rows)
    await copying.fill(url, plan, lambda more: progress.advance(task, more))
    progress.update(task, completed=plan.rows)
    await _administer(
        postgres,
        *(f"ALTER SYSTEM RESET {one}" for one in _MEANWHILE),
        "SELECT pg_reload_conf()",
    )


async def _administer(postgres: EmbeddedPostgres, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        postgres.url_of("postgres"), autocommit=True
    ) as admin:
        for one in statements:
            await admin.execute(one.encode())


@asynccontextmanager
async def _side(stack: Stack, url: str, name: str, seeds: Seeds) -> AsyncIterator[Side]:
    """An API process over the database, at which an operator has signed in."""
    port = free_port()
    settings = stack.settings.known_to("api", login="api").model_copy(
        update={"database_url": url, "api_port": port, "metrics_port": None}
    )
    service = Service(
        f"api-{name}", ("api",), folder=stack.data_dir, environment=settings.environment()
    )
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as api:
            answer = await api.post("/console/sign-in", data={"credentials": seeds.key})
            if answer.status_code != httpx.codes.SEE_OTHER:
                raise RuntimeError(f"nobody can sign in: {answer.status_code} {answer.text}")
            side = Side(api, await asking.rows_of(url), random.Random(name))
            dead = await asking.dead_messages(side)
            side.rows = {**side.rows, "dead": dead, "stuck": seeds.stuck}
            yield side
    finally:
        await service.stop()


def show(figures: Sequence[Figure], small: int, large: int, shown: Console) -> None:
    table = Table(width=_WIDTH, box=None, pad_edge=False, title="p95 in ms, asked in turns")
    table.add_column("page", overflow="fold", ratio=1)
    for title in (f"{small:,}", f"{large:,}", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in sorted(figures, key=lambda one: one.page):
        page = one.page.removeprefix("/console") or "/"
        table.add_row(page, f"{one.small:.1f}", f"{one.large:.1f}", f"{one.ratio:.2f}", one.verdict)
    shown.print(table)


def _check_disk(folder: Path, sagas: int) -> None:
    free, wanted = shutil.disk_usage(folder).free, _SERVERS + sagas * _OF_A_SAGA
    if free < wanted:
        sys.exit(
            f"{folder} has {free / 1e9:.0f} GB left, and {sagas:,} sagas take {wanted / 1e9:.0f}:"
            " name another folder (--folder), or fewer sagas (--sagas)"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make console-size", description=__doc__)
    parser.add_argument("--small", type=int, default=SMALL, help="sagas of the smaller database")
    parser.add_argument("--sagas", type=int, default=LARGE, help="sagas of the larger database")
    parser.add_argument("--folder", type=Path, help="where the databases go (a temporary folder)")
    asked = parser.parse_args()
    shown = Console(width=_WIDTH, highlight=False, markup=False)
    began = time.monotonic()
    asking.pages()  # before the long part: every route has an address
    folder = Path(tempfile.mkdtemp(prefix="handrail-size-", dir=asked.folder))
    try:
        _check_disk(folder, asked.small + asked.sagas)
        figures = asyncio.run(run(folder, asked.small, asked.sagas, shown))
    finally:
        shutil.rmtree(folder)
    show(figures, asked.small, asked.sagas, shown)
    bad = [one for one in figures if one.verdict != "ok"]
    minutes = (time.monotonic() - began) / 60
    shown.print(
        f"{len(figures)} pages, {len(bad)} over {MILLISECONDS:.0f} ms or {RATIO} times"
        f" ({asking.NOISE:.0f} ms more are none); {minutes:.0f} minutes"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

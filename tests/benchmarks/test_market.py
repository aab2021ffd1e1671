"""What benchmarks measure with: the events are real ones, and the peer does the same work."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import psycopg
import pytest

from benchmarks.history import write_past
from benchmarks.market import Market, everything
from benchmarks.peers.plain_loop import COLUMNS, PlainLoop, connect
from benchmarks.steady import write
from handrail.eventstore.pool import open_pool
from handrail.projections.install import install
from handrail.projections.projector import Runner
from runtime.app import HANDRAIL

ROLE = "handrail_app"
SOME = Market("some", customers=30, merchants=3, skus=2)


@pytest.fixture
def prepared(database: str) -> str:
    install(database, ROLE, HANDRAIL.read_models)
    return database


def test_the_market_is_the_same_in_every_run() -> None:
    first, second = (
        list(islice(everything(Market("m", customers=5, merchants=2)), 500)) for _ in range(2)
    )

    assert first == second


@pytest.mark.thorough
async def test_the_plain_loop_keeps_the_same_rows_as_the_projector(prepared: str) -> None:
    async with open_pool(prepared, size=2) as pool:
        async with pool.connection() as connection:
            await write_past(connection, everything(SOME), 3000)
        await Runner(pool, HANDRAIL.read_models, HANDRAIL.codec).catch_up()

    def loop() -> None:
        with connect(prepared) as connection:
            events = connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY position")
            plain = PlainLoop(connection)
            plain.handle(events.fetchall())
            assert plain.passed_over == 0

    await asyncio.to_thread(loop)

    def kept(connection: psycopg.Connection[Any], table: str) -> Any:
        """In one batch a total may come to be and be gone again; row by row it is 0 in the end."""
        but = "WHERE total <> 0" if "_totals" in table else ""
        rows = f"SELECT array_agg(t::text ORDER BY t::text) FROM {table} t {but}"
        return connection.execute(rows).fetchone()

    with psycopg.connect(prepared) as looker:
        assert looker.execute("SELECT count(*) FROM parked_events").fetchone() == (0,)
        for table in (table.name for one in HANDRAIL.read_models for table in one.tables):
            assert kept(looker, table) == kept(looker, f"{table}__loop"), table


async def test_the_steady_writer_stores_each_step_once(prepared: str) -> None:
    async with open_pool(prepared, size=1) as pool, pool.connection() as connection:
        opened = Market("steady", customers=2_000, merchants=100)
        await write_past(connection, opened.opens(), opened.openings)

    await write(prepared, "steady", rate=2_000, seconds=0.5)

    with psycopg.connect(prepared) as looker:
        told = "type IN ('StepDone', 'StepRefused', 'StepCompensated')"
        found = looker.execute(
            f"SELECT count(*) FILTER (WHERE {told}), count(*),"
            " (SELECT count(*) FROM commands WHERE step !~ 'Saga$') FROM events"
        ).fetchone()
    steps, events, fences = found or (0, 0, -1)
    assert steps == fences > 100
    assert 1_000 <= events - opened.openings < 1_020

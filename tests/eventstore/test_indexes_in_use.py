"""Indexes of a store in use: built beside its writers, and again where a build was cut off."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import create_engine, make_url

from handrail.eventstore.indexes_in_use import BUILT_IN_USE, build_indexes
from tests.eventstore.interleaving import Lab, notes

VALID = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indisvalid AND c.relname = ANY (%s) ORDER BY 1"
)


@pytest.fixture
def lab(own_lab: Lab) -> Lab:
    return own_lab


async def _build(lab: Lab) -> list[str]:
    engine = create_engine(make_url(lab.url).set(drivername="postgresql+psycopg"))
    try:
        return await asyncio.to_thread(build_indexes, engine)
    finally:
        engine.dispose()


async def _valid(lab: Lab) -> list[str]:
    return [name for (name,) in await lab.rows(VALID, list(BUILT_IN_USE))]


async def test_a_migrated_store_has_nothing_left_to_build(lab: Lab) -> None:
    assert await _valid(lab) == sorted(BUILT_IN_USE)
    assert await _build(lab) == []


async def test_a_writer_appends_while_an_index_is_built(lab: Lab) -> None:
    """The build waits for a transaction that is open, and a writer does not wait for the build."""
    await lab.sql.execute("DROP INDEX events_actor_idx")
    open_writer = await lab.writer()
    await open_writer.append("long-1")
    building = asyncio.create_task(_build(lab))
    waits = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE 'CREATE INDEX CONCURRENTLY%%' AND datname = current_database()"
    )
    await lab.until(waits)
    store = await lab.store()
    await asyncio.wait_for(store.append([("order-1", None, notes(1))]), 5)
    assert not building.done()
    await open_writer.commit()
    assert [one.split(" ON ")[0] for one in await building] == [
        "CREATE INDEX CONCURRENTLY events_actor_idx"
    ]
    assert await _valid(lab) == sorted(BUILT_IN_USE)


async def test_a_build_that_was_cut_off_is_begun_again(lab: Lab) -> None:
    await lab.sql.execute("DROP INDEX events_correlation_idx")
    open_writer = await lab.writer()
    await open_writer.append("long-1")
    connection = await lab.connect(autocommit=True)
    await connection.execute("SET statement_timeout = '200ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        await connection.execute(
            "CREATE INDEX CONCURRENTLY events_correlation_idx"
            " ON events ((metadata ->> 'correlation'), position)"
        )
    await open_writer.commit()
    assert await _valid(lab) == sorted({*BUILT_IN_USE} - {"events_correlation_idx"})
    assert len(await _build(lab)) == 2
    assert await _valid(lab) == sorted(BUILT_IN_USE)

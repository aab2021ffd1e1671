"""What reads and pruning cost does not grow with what there is: pages touched at one size, and at
ten times as much.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore import prune_tables
from handrail.eventstore.pool import Connection
from handrail.eventstore.tokens import NotYetSeen, wait_until_seen
from handrail.http import event_streams
from handrail.notifications import pruning as notifications
from handrail.projections import as_of, moments, parked_rows
from handrail.projections.moments import Cut
from projections import customer_account, merchant_balance
from tests.eventstore.plans import plans_of

pytestmark = pytest.mark.thorough

FEW, MANY = 4_000, 40_000
AT_MOST: Final = 1.3
NOW: Final = datetime(2027, 1, 1, tzinfo=UTC)

# A stream of so many events, so many parked ones, and so many rows that are not old yet.
FILL: Final = (
    """
    INSERT INTO events (stream, version, shard, type, schema, data, metadata, recorded_at)
    SELECT 'merchant-long', n, 1, 'Noted', 1, '{"text": "one of very many"}', '{}',
        timestamptz '2026-01-01' + make_interval(secs => n)
    FROM generate_series(1, %(size)s) AS n
    """,
    "INSERT INTO streams VALUES ('merchant-long', %(size)s)",
    """
    INSERT INTO outbox (position, txid, shard)
    SELECT position, txid, shard FROM events WHERE version > %(size)s - 1000
    """,
    """
    INSERT INTO parked_events (projection, stream, position, cause)
    SELECT 'customer_account', 'credit-c' || n, n, 'a cause'
    FROM generate_series(1, 10 * %(size)s) AS n
    """,
    """
    INSERT INTO row_snapshots (projection, id, version, position, versions, state)
    SELECT 'merchant_balance', 'm' || n, 2, 1, '{}', 'null' FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO saga_places (merchant, saga)
    SELECT 'm' || mod(n, 100), 'saga-' || n FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO webhooks (source, id, type, body, status)
    SELECT 'bank', 'w' || n, 'any', '', 'accepted' FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO parked_messages (consumer, stream, version, position, type, schema, recorded_at,
        metadata, data, cause, attempts, settled_at, settled_as, actor, reason)
    SELECT 'finance', 'order-' || n, 1, n, 'Noted', 1, now(), '{}', '{}', 'a cause', 1,
        now() - interval '400 days' * mod(n, 2),
        CASE mod(n, 2) WHEN 0 THEN 'handled' ELSE 'discarded' END, 'ann', 'looked at it'
    FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO notifications (lane, source, channel, kind, customer, language, body, state,
        due_at, settled_at)
    SELECT 'transactional', 'order-' || n, 'email', 'any', 'ann', 'en', 'text', 'failed', now(),
        now()
    FROM generate_series(1, %(size)s) AS n
    """,
    "VACUUM ANALYZE",
)


class Open:
    """One connection, as SQLAlchemy and as the driver have it."""

    def __init__(self, connection: AsyncConnection, driver: Connection) -> None:
        self.connection = connection
        self.driver = driver

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        await self.connection.commit()  # which begins by itself, also where statements commit
        yield self.connection


async def pages_touched(url: str, work: Callable[[Open], Awaitable[Any]]) -> int:
    """Of the second time: the first one reads the catalogues."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.execute("LOAD 'auto_explain'")
            one = Open(connection, driver)
            await work(one)
            async with plans_of(driver) as plans:
                await work(one)
    finally:
        await engine.dispose()
    assert plans.found
    return plans.buffers()


@pytest.fixture(scope="module")
async def sizes(
    postgres: EmbeddedPostgres, template_with_read_models: str
) -> AsyncIterator[dict[int, str]]:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        found = {}
        for size in (FEW, MANY):
            name = f"api_costs_{size}"
            await admin.execute(
                f"CREATE DATABASE {name} TEMPLATE {template_with_read_models}".encode()
            )
            found[size] = postgres.url_of(name)
            async with await psycopg.AsyncConnection.connect(
                postgres.url_of(name), autocommit=True
            ) as owner:
                for statement in FILL:
                    await owner.execute(statement.encode(), {"size": size})
        yield found
        for size in found:
            await admin.execute(f"DROP DATABASE api_costs_{size} WITH (FORCE)".encode())


async def the_end_of_a_history(one: Open) -> None:
    """As every point-in-time read begins: where the moment cuts."""
    await moments.cut_as_of(one, ["merchant-long"], NOW)


async def the_middle_of_a_history(one: Open) -> None:
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    await moments.cut_as_of(one, ["merchant-long"], moment)


async def what_a_moment_sees_of_a_history(one: Open) -> None:
    cursor = await one.driver.execute("SELECT pg_current_snapshot()::text")
    [(snapshot,)] = await cursor.fetchall()
    seen = moments.Seen(NOW, NOW, snapshot, 0, 1, 0, 2**63 - 1)
    await moments._visible(one.connection, ["merchant-long"], seen)  # its statement alone


async def a_page_of_a_history(one: Open) -> None:
    await as_of.next_events(one.connection, {"merchant-long": 500}, Cut(2**63 - 1))


async def a_look_for_event_streams(one: Open) -> None:
    asked = {"streams": ["merchant-long"] * 2, "after": [1_900, 5], "page": 50, "look": 100}
    await one.connection.execute(event_streams._NEXT, asked)  # the same


async def a_page_of_rows_that_may_be_parked(one: Open) -> None:
    ids = [f"c{number}" for number in range(0, 400, 2)]
    await parked_rows.standstill(one.connection, customer_account.PROJECTION, ids)


async def a_page_of_rows_where_none_is(one: Open) -> None:
    ids = [f"m{number}" for number in range(200)]
    await parked_rows.standstill(one.connection, merchant_balance.PROJECTION, ids)


async def a_token(one: Open) -> None:
    cursor = await one.driver.execute("SELECT max(txid::text::bigint)::text FROM outbox")
    [(token,)] = await cursor.fetchall()
    with suppress(NotYetSeen):
        await wait_until_seen(one, "merchant_balance", token, id_="long", timeout=0.001)


async def deleting_what_is_old(one: Open) -> None:
    """There is nothing of it: what is young, or kept for ever, is not looked through."""
    assert set((await prune_tables.prune(one.driver)).values()) == {0}


async def deleting_old_messages(one: Open) -> None:
    assert await notifications.prune(one.driver) == 0


@pytest.mark.parametrize(
    "work",
    [
        the_end_of_a_history,
        the_middle_of_a_history,
        what_a_moment_sees_of_a_history,
        a_page_of_a_history,
        a_look_for_event_streams,
        a_page_of_rows_that_may_be_parked,
        a_page_of_rows_where_none_is,
        a_token,
        deleting_what_is_old,
        deleting_old_messages,
    ],
    ids=lambda one: one.__name__,
)
async def test_ten_times_as_much_costs_no_more(
    sizes: dict[int, str], work: Callable[[Open], Awaitable[None]]
) -> None:
    few, many = [await pages_touched(sizes[size], work) for size in (FEW, MANY)]

    assert many <= AT_MOST * few, f"{few} pages, and {many} of ten times as much"

"""What lists and sums of the past and the timeline of an entity cost does not grow with what there
is: pages touched at one size, and at ten times as much; and no large table is read as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.identifiers import OrderId
from handrail.console import timeline
from handrail.dev.postgres import EmbeddedPostgres
from handrail.projections import kept_totals
from handrail.projections.past_lists import Reads, list_as_of
from handrail.projections.past_totals import totals_as_of
from projections import order_status
from runtime.app import HANDRAIL
from tests.api.test_costs import Open, pages_touched
from tests.eventstore.plans import plans_of
from tests.projections.stories import Shop

pytestmark = pytest.mark.thorough

FEW, MANY = 4_000, 40_000
AT_MOST: Final = 1.5
"""An index of ten times as many rows may have a level more, and each lookup reads it."""
MOMENT: Final = datetime(2027, 1, 1, tzinfo=UTC)
LARGE: Final = {
    "events",
    "streams",
    "order_status",
    "order_status_earlier_keys",
    "saga_board",
    "saga_figures",
    "webhooks",
    "notifications_transactional",
}

# So many orders of a hundred merchants, each placed and with a saga; of each hundredth an earlier
# placing; webhooks and notifications about each. All of it had been committed by the moment.
FILL: Final = (
    """
    INSERT INTO events (stream, version, shard, type, schema, data, metadata, recorded_at)
    SELECT 'order-' || n, 1, mod(n, 16), 'OrderPlaced', %(schema)s,
        CAST(%(placed)s AS jsonb) || jsonb_build_object('order', n::text,
            'merchant', 'm' || mod(n, 100), 'placed_at',
            to_char(timestamptz '2026-01-01' + n * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
        '{}', timestamptz '2026-01-01' + n * interval '1 s'
    FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO streams SELECT stream, 1 FROM events
    """,
    """
    INSERT INTO order_status ("order", customer, merchant, status, total, down_payment, currency,
        instalments, lines, because, reason, payment, shipment, booking, returns, returned,
        placed_at, updated_at, position)
    SELECT n::text, 'c' || mod(n, 1000), 'm' || mod(n, 100), 'placed', 1, 1, 'EUR', 3, '[]', '', '',
        'none', 'none', '', '{}', 0, timestamptz '2026-01-01' + n * interval '1 s', now(), n
    FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO order_status_earlier_keys ("order", placed_at, merchant, customer)
    SELECT n::text, timestamptz '2026-01-01' + (n - 50) * interval '1 s', 'm' || mod(n, 100),
        'c' || mod(n, 1000)
    FROM generate_series(100, %(size)s, 100) AS n
    """,
    """
    INSERT INTO webhooks (source, id, type, order_id, body, status)
    SELECT 'bank', 'w' || n, 'any', n::text, '', 'accepted' FROM generate_series(1, %(size)s) AS n
    """,
    """
    INSERT INTO notifications (lane, source, channel, kind, customer, order_id, language, body,
        state, due_at)
    SELECT 'transactional', 'order-' || n || '/1', 'email', 'any', 'c' || n, n::text,
        'en', 'text', 'sent', now()
    FROM generate_series(1, %(size)s) AS n
    """,
    """
    UPDATE checkpoints SET since = pg_current_snapshot()
    """,
    """
    INSERT INTO moments (at, until, snapshot, position, epoch)
    SELECT now() - interval '1 s', now(), pg_current_snapshot(),
        (SELECT max(position) FROM events), 1
    """,
    """
    INSERT INTO moments (at, until, snapshot, position, epoch)
    SELECT now(), timestamptz '2028-01-01', pg_current_snapshot(),
        (SELECT max(position) FROM events), 1
    """,
    "VACUUM ANALYZE",
)


def placed() -> tuple[int, str]:
    """An order that is placed, as it is stored."""
    for stream, events in Shop().sells(OrderId("any")):
        if stream.startswith("order-"):
            stored = HANDRAIL.codec.encode(events[0])
            return stored.schema, stored.data.decode()
    raise AssertionError("no order is placed")


@pytest.fixture(scope="module")
async def sizes(
    postgres: EmbeddedPostgres, template_with_read_models: str
) -> AsyncIterator[dict[int, str]]:
    schema, data = placed()
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        found = {}
        for size in (FEW, MANY):
            name = f"past_costs_{size}"
            await admin.execute(
                f"CREATE DATABASE {name} TEMPLATE {template_with_read_models}".encode()
            )
            found[size] = postgres.url_of(name)
            async with await psycopg.AsyncConnection.connect(
                postgres.url_of(name), autocommit=True
            ) as owner:
                asked = {"size": size, "schema": schema, "placed": data}
                for statement in FILL:
                    await owner.execute(statement.encode(), asked if "%(" in statement else None)
                [figures] = [one for one in HANDRAIL.read_models if one.adds is not None]
                await kept_totals.keep(owner, figures)
        yield found
        for size in found:
            await admin.execute(f"DROP DATABASE past_costs_{size} WITH (FORCE)".encode())


def reads(one: Open) -> Reads:
    return Reads(one, one, HANDRAIL.codec)


async def a_page_of_a_list(one: Open) -> None:
    wanted = order_status.list_of({})
    found = await list_as_of(reads(one), wanted, MOMENT, after=None, limit=50)
    assert len(found.rows) == 50


async def a_page_of_a_list_of_a_merchant(one: Open) -> None:
    wanted = order_status.list_of({"merchant": "m5"})
    found = await list_as_of(reads(one), wanted, MOMENT, after=None, limit=20)
    assert len(found.rows) == 20


async def a_page_of_what_is_rare(one: Open) -> None:
    """It looks at so many rows as a page may, and finds none."""
    wanted = order_status.list_of({"status": "failed"})
    found = await list_as_of(reads(one), wanted, MOMENT, after=None, limit=20)
    assert found.next is not None
    assert not found.rows


async def a_page_in_the_middle_of_a_list(one: Open) -> None:
    after = (datetime(2026, 1, 1, 0, 50, tzinfo=UTC), "3000")
    wanted = order_status.list_of({})
    found = await list_as_of(reads(one), wanted, MOMENT, after=after, limit=20)
    assert len(found.rows) == 20


async def sums(one: Open) -> None:
    await totals_as_of(one, HANDRAIL.saga_figures, MOMENT, HANDRAIL.codec)


async def the_timeline_of_an_order(one: Open) -> None:
    streams = [f"{category}-77" for category in ("order", "payment", "shipment", "saga")]
    events = await timeline.events_of(one.connection, streams, HANDRAIL.routing, timeline.LATEST)
    assert len(events) == 1


async def what_is_beside_the_events_of_an_order(one: Open) -> None:
    found = await timeline.beside(
        one.connection,
        subject="77",
        about="77",
        recipient="c77",
        since=datetime(1, 1, 1, tzinfo=UTC),
        until=datetime(9999, 1, 1, tzinfo=UTC),
    )
    assert len(found) == 2


WORK: Final = [
    a_page_of_a_list,
    a_page_of_a_list_of_a_merchant,
    a_page_of_what_is_rare,
    a_page_in_the_middle_of_a_list,
    sums,
    the_timeline_of_an_order,
    what_is_beside_the_events_of_an_order,
]


@pytest.mark.parametrize("work", WORK, ids=lambda one: one.__name__)
async def test_ten_times_as_much_costs_no_more(
    sizes: dict[int, str], work: Callable[[Open], Awaitable[None]]
) -> None:
    few, many = [await pages_touched(sizes[size], work) for size in (FEW, MANY)]

    assert many <= AT_MOST * few, f"{few} pages, and {many} of ten times as much"


@pytest.mark.parametrize("work", WORK, ids=lambda one: one.__name__)
async def test_no_large_table_is_read_as_a_whole(
    sizes: dict[int, str], work: Callable[[Open], Awaitable[None]]
) -> None:
    address = make_url(sizes[MANY]).set(drivername="postgresql+psycopg")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.execute("LOAD 'auto_explain'")  # type: ignore[union-attr]  # it is connected
            async with plans_of(driver) as plans:  # type: ignore[arg-type]  # the same
                await work(Open(connection, driver))  # type: ignore[arg-type]  # the same
    finally:
        await engine.dispose()
    assert plans.found
    assert not plans.scanned_whole() & LARGE

"""Row-level security: a tenant or a party sees its own rows, also where a query forgets to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from psycopg import errors
from sqlalchemy import exc, text

from consumers.tables import TABLES
from handrail.access.principal import EVERYTHING, Visibility
from handrail.access.row_owner import OWNER
from handrail.database_engine import open_engine
from handrail.eventstore import tables as store_tables
from handrail.http.database import Database
from handrail.notifications import tables as message_tables
from handrail.projections.projection import Projection
from handrail.projections.rebuild import start
from runtime.app import HANDRAIL
from tests.database.logins import LOGINS, Logins, migrated_again
from tests.eventstore.wire import wire_to

NOTHING = Visibility()
A, B = Visibility(tenant="merchant-a"), Visibility(tenant="merchant-b")
ANN, BOB = Visibility(party="ann"), Visibility(party="bob")
ORDERS = """
INSERT INTO order_status ("order", customer, merchant, status, total, down_payment, currency,
    instalments, lines, because, reason, payment, shipment, booking, returns, returned, placed_at,
    updated_at, position)
SELECT o, c, m, 'placed', 1, 0, 'EUR', 1, '[]', '', '', '', '', '', '[]', 0, now(), now(), 1
FROM (VALUES ('o1', 'ann', 'merchant-a'), ('o2', 'bob', 'merchant-a'), ('o3', 'ann', 'merchant-b'))
    AS v (o, c, m)
"""
CONTACT = """
INSERT INTO notification_contacts (customer, language, time_zone, choices, changed_by)
VALUES ('{}', 'en', 'UTC', '{{}}', 'tests')
"""
REST = (
    *("status", "total", "down_payment", "currency", "instalments", "lines", "because", "reason"),
    *("payment", "shipment", "booking", "returns", "returned", "placed_at", "updated_at"),
    "position",
)
SEEN = text('SELECT "order" FROM order_status ORDER BY 1')


SLEEPS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND query = 'SELECT pg_sleep(60)'
"""


@pytest.fixture(scope="module", autouse=True)
async def rows(logins: Logins) -> None:
    await logins.sql(ORDERS)
    for customer in ("ann", "bob"):
        await logins.sql(CONTACT.format(customer))


@pytest.fixture
async def database(logins: Logins) -> AsyncIterator[Database]:
    """As the API has it, with one connection for all."""
    async with open_engine(logins.url("api"), role="handrail_app", size=1) as engine:
        yield Database(engine, NOTHING)


async def seen(database: Database, visibility: Visibility | None = None) -> Sequence[str]:
    async with database.connection(visibility=visibility) as connection:
        return list((await connection.execute(SEEN)).scalars())


@pytest.mark.parametrize(
    ("visibility", "orders"),
    [
        (NOTHING, []),
        (A, ["o1", "o2"]),
        (B, ["o3"]),
        (ANN, ["o1", "o3"]),
        (Visibility(tenant="merchant-a", party="ann"), ["o1"]),
        (Visibility(tenant="merchant-c"), []),
        (EVERYTHING, ["o1", "o2", "o3"]),
    ],
)
async def test_a_principal_sees_the_rows_that_are_its_own(
    database: Database, visibility: Visibility, orders: Sequence[str]
) -> None:
    assert await seen(database, visibility) == orders


async def test_a_login_of_the_api_without_a_principal_sees_no_row_of_anybody(
    logins: Logins,
) -> None:
    async with logins.connected("api") as connection:
        for table in ("order_status", "notification_contacts", "notifications"):
            found = await connection.execute(f"SELECT count(*) FROM {table}")
            assert await found.fetchone() == (0,), table


@pytest.mark.parametrize("text_of_setting", ["'%'", "ann' OR true --", "", " ann", "ANN"])
async def test_a_name_is_compared_as_it_is(database: Database, text_of_setting: str) -> None:
    assert await seen(database, Visibility(party=text_of_setting)) == []


async def test_a_tenant_sees_nothing_of_a_table_that_names_no_tenant(database: Database) -> None:
    async with database.connection(visibility=A) as connection:
        found = await connection.execute(text("SELECT count(*) FROM notification_contacts"))
        assert found.scalar_one() == 0


async def test_sums_over_all_rows_are_for_those_that_see_everything(
    logins: Logins, database: Database
) -> None:
    [figures] = [one for one in HANDRAIL.read_models if one.name == "saga_figures"]
    name = figures.totals.name
    await logins.sql(f"INSERT INTO {name} VALUES ('started', '{{checkout}}', 1, 5)")
    counts = {}
    for visibility in (NOTHING, A, ANN, EVERYTHING):
        async with database.connection(visibility=visibility) as connection:
            found = await connection.execute(text(f"SELECT count(*) FROM {name}"))
            counts[visibility] = found.scalar_one()
    assert counts == {NOTHING: 0, A: 0, ANN: 0, EVERYTHING: 1}


async def test_a_row_of_another_is_not_written_changed_or_deleted(
    logins: Logins, database: Database
) -> None:
    async with database.connection(visibility=ANN) as connection:
        with pytest.raises(exc.ProgrammingError, match="row-level security"):
            await connection.execute(text(CONTACT.format("carl")))
        changed = await connection.execute(
            text("UPDATE notification_contacts SET email = 'ann@example.com'")
        )
        gone = await connection.execute(
            text("DELETE FROM notification_contacts WHERE customer = 'bob'")
        )
        assert (changed.rowcount, gone.rowcount) == (1, 0)
    found = await logins.sql("SELECT customer, email FROM notification_contacts ORDER BY 1")
    assert found == [("ann", "ann@example.com"), ("bob", None)]


async def test_nothing_of_a_principal_stays_on_a_connection_that_others_use_next(
    database: Database,
) -> None:
    """Two of them in turn over one connection, and after each nobody."""
    settings = text("SELECT current_setting('handrail.tenant', true)")
    for _ in range(50):
        assert await seen(database, A) == ["o1", "o2"]
        assert await seen(database) == []
        assert await seen(database, BOB) == ["o2"]
        assert await seen(database, B) == ["o3"]
        async with database.engine.connect() as connection:
            assert (await connection.execute(SEEN)).scalars().all() == []
            assert (await connection.execute(settings)).scalar_one() in {"", None}


async def test_nothing_stays_after_a_statement_that_failed(database: Database) -> None:
    for _ in range(5):
        with pytest.raises(exc.DBAPIError):
            async with database.connection(visibility=A) as connection:
                await connection.execute(text("SELECT 1 / 0"))
        async with database.engine.connect() as connection:
            assert (await connection.execute(SEEN)).scalars().all() == []
        assert await seen(database, BOB) == ["o2"]


async def test_after_a_failure_the_same_connection_goes_on_seeing_the_same(
    database: Database,
) -> None:
    async with database.connection(visibility=A) as connection:
        with pytest.raises(exc.DBAPIError):
            await connection.execute(text("SELECT 1 / 0"))
        assert (await connection.execute(SEEN)).scalars().all() == ["o1", "o2"]


async def test_nothing_stays_after_a_request_that_was_cancelled(
    logins: Logins, database: Database
) -> None:
    async def slow() -> None:
        async with database.connection(visibility=A) as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    for _ in range(5):
        waiting = asyncio.create_task(slow())
        async with asyncio.timeout(10):
            while not await logins.sql(SLEEPS):
                pass
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await seen(database) == []
        assert await seen(database, BOB) == ["o2"]


async def test_what_is_visible_is_sent_with_the_query_in_one_round_trip(logins: Logins) -> None:
    async with (
        wire_to(logins.url("api")) as wire,
        open_engine(wire.url, size=1) as engine,
    ):
        database = Database(engine, NOTHING)
        for _ in range(8):  # by then, both statements are prepared
            await seen(database, A)
        before = wire.round_trips
        for visibility, orders in ((A, ["o1", "o2"]), (BOB, ["o2"])):
            assert await seen(database, visibility) == orders
        assert wire.round_trips - before == 2


async def test_many_principals_at_once_each_see_their_own(logins: Logins) -> None:
    expected = {A: ["o1", "o2"], B: ["o3"], ANN: ["o1", "o3"], BOB: ["o2"], NOTHING: []}
    async with open_engine(logins.url("api"), size=3) as engine:
        database = Database(engine, NOTHING)
        asked = [one for _ in range(40) for one in expected]
        found = await asyncio.gather(*(seen(database, one) for one in asked))
    assert found == [expected[one] for one in asked]


@pytest.mark.quick(1)
@pytest.mark.parametrize("visibility", [EVERYTHING, Visibility(tenant="m1")])
async def test_a_page_is_read_along_its_index_and_not_sorted(
    logins: Logins, database: Database, visibility: Visibility
) -> None:
    """What the planner expects a policy to let through decides that."""
    moved = [f"{one} - n * interval '1 s'" if one == "placed_at" else one for one in REST]
    await logins.sql(
        f'INSERT INTO order_status ("order", customer, merchant, {", ".join(REST)})'
        f" SELECT 'many-' || n, 'c' || n, 'm' || n % 50, {', '.join(moved)} FROM order_status,"
        " generate_series(1, 100000) AS n WHERE \"order\" = 'o1'"
    )
    await logins.sql("ANALYZE order_status")
    page = (
        "EXPLAIN SELECT * FROM order_status WHERE merchant = 'm1'"
        ' ORDER BY placed_at DESC, "order" DESC LIMIT 21'
    )
    try:
        async with database.connection(visibility=visibility) as connection:
            plan = "\n".join((await connection.execute(text(page))).scalars())
    finally:
        await logins.sql("DELETE FROM order_status WHERE customer ^@ 'c'")
    assert "Index Scan Backward" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("role", ["worker", "projector", "operator"])
async def test_a_process_that_is_no_caller_works_on_every_row(logins: Logins, role: str) -> None:
    async with logins.connected(role) as connection:
        found = await connection.execute("SELECT count(*) FROM order_status")
        assert await found.fetchone() == (3,)


OWNER_COLUMNS = {
    column
    for owner in (
        *(one for each in HANDRAIL.read_models for one in each.owners.values()),
        *TABLES.owners.values(),
        *(
            table.info[OWNER]
            for metadata in (store_tables.metadata, message_tables.metadata)
            for table in metadata.sorted_tables
            if OWNER in table.info
        ),
    )
    for column in owner.columns()
}
UNFORCED = """
SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attname = ANY (%s) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""


async def test_each_table_that_names_a_tenant_or_a_party_has_row_level_security_forced(
    logins: Logins,
) -> None:
    assert {"merchant", "customer"} == OWNER_COLUMNS
    assert await logins.sql(UNFORCED, sorted(OWNER_COLUMNS)) == []


async def test_no_login_reads_a_partition_past_its_table(logins: Logins) -> None:
    partitions = await logins.sql(
        "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace"
    )
    for role in LOGINS:
        async with logins.connected(role) as connection:
            for (name,) in partitions:
                found = await connection.execute(
                    "SELECT has_table_privilege(%s, 'SELECT')", (name,)
                )
                assert await found.fetchone() == (False,), (role, name)


async def test_a_read_model_that_is_built_anew_is_secured_before_it_is_in_use(
    logins: Logins,
) -> None:
    secured: list[Projection[object]] = [one for one in HANDRAIL.read_models if one.owner]
    await asyncio.to_thread(
        start, logins.owner, "handrail_app", [one.name for one in secured], HANDRAIL.read_models
    )
    for one in secured:
        found = await logins.sql(
            "SELECT relrowsecurity AND relforcerowsecurity, (SELECT count(*) FROM pg_policy"
            " WHERE polrelid = c.oid) FROM pg_class c WHERE relname = %s",
            f"{one.table.name}__next",
        )
        assert found == [(True, 2)], one.name


async def test_a_policy_that_was_changed_is_put_right(logins: Logins) -> None:
    await logins.sql("ALTER TABLE order_status NO FORCE ROW LEVEL SECURITY")
    await logins.sql("CREATE POLICY open_door ON order_status TO PUBLIC USING (true)")
    await migrated_again(logins)
    found = await logins.sql(
        "SELECT relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)"
        " FROM pg_class c WHERE relname = 'order_status'"
    )
    assert found == [(True, 2)]


async def test_a_second_migration_changes_no_policy(logins: Logins) -> None:
    oids = "SELECT oid FROM pg_policy ORDER BY 1"
    before = await logins.sql(oids)
    await migrated_again(logins)
    assert await logins.sql(oids) == before


OWN = {
    "relay": ["relay", "relay/money"],
    "lake": ["lake"],
    "projector": ["order_status", "order_status__next"],
    "consumer:finance": ["consumer/finance"],
    "consumer:logistics": ["consumer/logistics"],
    "consumer:notifications": ["consumer/notifications"],
}
SUBSCRIBERS = sorted(name for names in OWN.values() for name in names)
MOVED = "UPDATE checkpoints SET after_position = after_position + 1 RETURNING projection"


@pytest.fixture
async def subscribers(logins: Logins) -> AsyncIterator[None]:
    await logins.sql("CREATE TABLE before AS SELECT * FROM checkpoints; DELETE FROM checkpoints")
    for name in SUBSCRIBERS:
        await logins.sql(
            "INSERT INTO checkpoints (projection, shard, since) VALUES (%s, 0, '1:1:')", name
        )
    yield
    await logins.sql("DELETE FROM checkpoints; INSERT INTO checkpoints SELECT * FROM before")
    await logins.sql("DROP TABLE before")


@pytest.mark.usefixtures("subscribers")
async def test_each_subscriber_moves_its_own_checkpoints_and_sees_all(logins: Logins) -> None:
    for role, own in OWN.items():
        async with logins.connected(role) as connection:
            moved = await (await connection.execute(MOVED)).fetchall()
            seen = await (await connection.execute("SELECT projection FROM checkpoints")).fetchall()
        assert sorted(name for (name,) in moved) == own, role
        assert sorted(name for (name,) in seen) == SUBSCRIBERS, role


@pytest.mark.usefixtures("subscribers")
async def test_an_operator_moves_any_checkpoint(logins: Logins) -> None:
    async with logins.connected("operator") as connection:
        moved = await (await connection.execute(MOVED)).fetchall()
    assert sorted(name for (name,) in moved) == SUBSCRIBERS


@pytest.mark.parametrize("role", ["relay", "projector"])
async def test_no_process_parks_an_event_of_another(logins: Logins, role: str) -> None:
    other = {"relay": "order_status", "projector": "relay/money"}[role]
    async with logins.connected(role) as connection:
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            await connection.execute(
                "INSERT INTO parked_events (projection, stream, position, cause)"
                " VALUES (%s, 'a-1', 1, 'mine')",
                (other,),
            )


async def test_a_read_model_in_use_that_is_of_an_earlier_version_is_secured_by_what_it_names(
    logins: Logins, database: Database
) -> None:
    """It is in use until the new one is built: without the column, no tenant sees a row."""
    try:
        await logins.sql("ALTER TABLE stock_level DROP COLUMN merchant CASCADE")
        await logins.sql("UPDATE read_models SET version = 1 WHERE name = 'stock_level'")
        await migrated_again(logins)
        async with database.connection(visibility=A) as connection:
            found = await connection.execute(text("SELECT count(*) FROM stock_level"))
            assert found.scalar_one() == 0
    finally:
        await logins.sql("DROP TABLE stock_level, stock_level__next")
        await logins.sql("DELETE FROM read_models WHERE name ~ 'stock_level'")
        await logins.sql("DELETE FROM checkpoints WHERE projection ~ 'stock_level'")
        await migrated_again(logins)

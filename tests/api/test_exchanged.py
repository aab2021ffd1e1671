"""While read models are exchanged for those of another version, every route says so, and is 503."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import API, House
from tests.api.shop import problem

READS = {
    "order_status": ("/orders", "/orders/any", "/orders?status=placed"),
    "instalment_plan": ("/plans", "/orders/any/plan"),
    "customer_account": ("/customers/any",),
    "merchant_balance": ("/merchants/any/balance",),
    "stock_level": ("/merchants/any/stock", "/merchants/any/stock/any"),
    "merchant_application": ("/merchants/any/application",),
    "saga_board": ("/sagas", "/sagas/any"),
    "intervention_board": ("/interventions", "/interventions/any"),
    "saga_figures_totals": ("/sagas/figures",),
}
EXCHANGED = {
    "a column that only another version has": "ALTER TABLE {0} RENAME COLUMN {1} TO another",
    "a table that only another version has": "ALTER TABLE {0} RENAME TO another_{0}",
}
CASES = [(table, path) for table, paths in READS.items() for path in paths]


@pytest.fixture
async def cut_off(
    postgres: EmbeddedPostgres, house: House, database_with_read_models: str
) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    """An API over a database of its own, whose tables the test changes."""
    async with (
        open_engine(database_with_read_models, role=API) as engine,
        house.api(engine=engine) as api,
    ):
        yield database_with_read_models, api


@pytest.mark.quick(1)
@pytest.mark.parametrize("how", EXCHANGED)
async def test_a_read_of_another_version_says_that_it_is_being_exchanged(
    cut_off: tuple[str, httpx.AsyncClient], how: str
) -> None:
    database, api = cut_off
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        for table in READS:
            cursor = await owner.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " ORDER BY attnum DESC LIMIT 1",
                (table,),
            )
            [(column,)] = await cursor.fetchall()
            await owner.execute(EXCHANGED[how].format(table, f'"{column}"').encode())

    for table, path in CASES:
        answer = await api.get(path)
        problem(answer, 503, "read-model-exchanged")
        assert int(answer.headers["Retry-After"]) > 0, (table, path)


async def test_a_token_for_a_read_model_that_is_not_there_says_so(
    cut_off: tuple[str, httpx.AsyncClient],
) -> None:
    database, api = cut_off
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute("DELETE FROM checkpoints WHERE projection = 'order_status'")
        token = await (await owner.execute("SELECT pg_current_xact_id()::text")).fetchone()
    assert token

    answer = await api.get("/orders", headers={"Handrail-Token": token[0]})

    problem(answer, 503, "read-model-exchanged")


async def test_a_connection_forgets_what_it_prepared_for_tables_that_are_gone(
    cut_off: tuple[str, httpx.AsyncClient],
) -> None:
    database, api = cut_off
    for _ in range(20):
        assert (await api.get("/customers/any")).status_code == 404
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute("ALTER TABLE customer_account ALTER used TYPE numeric")
        await owner.execute("ALTER TABLE customer_account ALTER held TYPE numeric")

    answers = [await api.get("/customers/any") for _ in range(40)]

    assert {one.status_code for one in answers} <= {404, 503}
    assert answers[-1].status_code == 404

"""Connections of the API to PostgreSQL: one that broke while nobody used it is replaced."""

from __future__ import annotations

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.database_engine import open_engine
from tests.api.shop import eventually


async def its_process(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        number: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return number


async def test_a_connection_is_used_again_while_its_server_is_there(database: str) -> None:
    async with open_engine(database, size=1) as engine:
        assert await its_process(engine) == await its_process(engine)


async def test_a_connection_whose_server_has_gone_is_replaced_before_it_is_used(
    database: str,
) -> None:
    async with (
        open_engine(database, size=1) as engine,
        await psycopg.AsyncConnection.connect(database, autocommit=True) as other,
    ):
        first = await its_process(engine)
        await other.execute("SELECT pg_terminate_backend(%s)", [first])

        async def gone() -> bool:
            of_it = "SELECT FROM pg_stat_activity WHERE pid = %s"
            return (await other.execute(of_it, [first])).rowcount == 0

        await eventually(gone, "the end of the first connection")
        assert await its_process(engine) != first

"""A pool outlives the server its connections were to."""

from __future__ import annotations

import select

from handrail.eventstore.pool import open_pool
from tests.servers.postgres import sql


async def test_a_connection_whose_server_has_gone_is_given_to_nobody(database: str) -> None:
    async with open_pool(database, size=3, name="outlives") as pool:
        async with pool.connection() as one, pool.connection() as two, pool.connection() as three:
            kept = [one, two, three]
        await sql(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'outlives' AND datname = current_database()",
        )
        for connection in kept:
            said = select.poll()
            said.register(connection.fileno(), select.POLLIN)
            assert said.poll(10_000), "its server has not said so yet"

        for _ in kept:
            async with pool.connection() as connection:
                found = await (await connection.execute("SELECT 1")).fetchone()
                assert found == (1,)

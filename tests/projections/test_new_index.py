"""A read model gains an index without being built anew."""

from __future__ import annotations

import asyncio

from handrail.projections.install import install
from runtime.app import HANDRAIL
from tests.projections.world import ROLE, World

INDEX = "saga_board_saga_type_started_at_saga_idx"
VALID = (
    "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    f" WHERE i.indisvalid AND c.relname = '{INDEX}'"
)


async def test_an_index_that_code_has_and_the_table_has_not_is_built_beside_its_writers(
    world: World,
) -> None:
    await world.sql(f"DROP INDEX {INDEX}")
    done = await asyncio.to_thread(install, world.url, ROLE, HANDRAIL.read_models)
    assert await world.value(VALID) == 1
    assert (done.created, done.being_built) == ([], [])

"""What looks for requests to retry every second touches those that are open, however many were
settled; and pruning touches those that it removes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from handrail.eventstore import retry_requests
from tests.eventstore.interleaving import Lab
from tests.eventstore.plans import Plans, plans_of

pytestmark = pytest.mark.thorough

SETTLED = 100_000
FILL = f"""
INSERT INTO retry_requests (subscriber, stream, actor, reason, requested_at, settled_at)
SELECT 'order_status', 'order-' || n, 'ann', 'mended', now() - interval '1 hour', now()
FROM generate_series(1, {SETTLED}) AS n
"""
OPEN = """
INSERT INTO retry_requests (subscriber, stream, actor, reason)
VALUES ('order_status', 'order-open', 'ann', 'mended'), ('relay', 'order-open', 'ann', 'mended')
"""


@pytest.fixture
async def filled(own_lab: Lab) -> Lab:
    for statement in (FILL, OPEN, "VACUUM ANALYZE retry_requests"):
        await own_lab.sql.execute(statement.encode())
    return own_lab


@asynccontextmanager
async def planned(lab: Lab, mode: str) -> AsyncIterator[tuple[psycopg.AsyncConnection, Plans]]:
    connection = await lab.connect(autocommit=True)
    connection.prepare_threshold = 0
    await connection.execute("LOAD 'auto_explain'")
    await connection.execute(f"SET plan_cache_mode = {mode}".encode())
    async with plans_of(connection) as plans:
        yield connection, plans
    await connection.close()


both_ways = pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])


@both_ways
async def test_the_look_for_open_requests_reads_none_that_was_settled(
    filled: Lab, mode: str
) -> None:
    async with planned(filled, mode) as (connection, plans):
        found = await retry_requests.unsettled(connection, ["order_status", "merchant_balance"])
    assert [(one.subscriber, one.stream) for one in found] == [("order_status", "order-open")]
    assert plans.indexes() == {"retry_requests_unsettled_idx"}, plans
    assert plans.scanned_whole() == set(), plans
    assert plans.buffers() < 10, plans


@both_ways
async def test_pruning_reads_no_request_that_is_kept(filled: Lab, mode: str) -> None:
    async with planned(filled, mode) as (connection, plans):
        await retry_requests.prune(connection)
    assert plans.indexes() == {"retry_requests_settled_idx"}, plans
    assert plans.buffers() < 10, plans
    assert await filled.value("SELECT count(*) FROM retry_requests") == SETTLED + 2

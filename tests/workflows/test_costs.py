"""What a checkout costs, in statements and in history: the same on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.eventstore.pool import Pool
from handrail.eventstore.store import EventStore
from runtime.app import HANDRAIL
from tests.workflows.ordered import Placement
from tests.workflows.steps import EVERY
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED

# A checkout of a customer and an article that the worker does not know yet loads both.
APPENDS = len(EVERY) + 1  # each step, and the beginning
LOADS_THE_FIRST_TIME = 3  # the shelf, the credit line, the merchant's account
LOADS_OF_WHAT_FOLLOWS = 1  # who collects the instalments reads the plan
EVENTS_OF_HISTORY = {"local": 26, "queues": 82}


class CountingPool:
    """A pool that counts the statements of each of the store's functions."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.statements: Counter[str] = Counter()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[_Counting]:
        async with self._pool.connection() as connection:
            yield _Counting(connection, self.statements)


class _Counting:
    def __init__(self, connection: Any, statements: Counter[str]) -> None:
        self._connection = connection
        self._statements = statements

    async def execute(self, query: str, parameters: Any = None) -> Any:
        self._statements[query.split("(", maxsplit=1)[0].rpartition(" ")[2]] += 1
        return await self._connection.execute(query, parameters)


async def test_a_step_is_one_statement_and_its_aggregate_is_loaded_once(world: World) -> None:
    pool = CountingPool(world.pool)
    place = replace(world.elsewhere(), store=EventStore(cast("Pool", pool), HANDRAIL.codec))
    first = await place.an_order()
    second = await place.an_order()
    second.input = replace(
        second.input,
        customer=first.input.customer,
        merchant=first.input.merchant,
        lines=first.input.lines,
    )
    async with place.at_work():
        pool.statements.clear()
        await first.starts()
        assert await first.ends() == COMPLETED
        await first.is_being_collected()
        cold = dict(pool.statements)
        pool.statements.clear()
        await second.starts()
        assert await second.ends() == COMPLETED
        await second.is_being_collected()
    loads = LOADS_THE_FIRST_TIME + LOADS_OF_WHAT_FOLLOWS
    assert cold == {"append_events": APPENDS, "load_states": loads}
    assert pool.statements == {"append_events": APPENDS, "load_states": LOADS_OF_WHAT_FOLLOWS}


@pytest.mark.parametrize("steps", ["local", "queues"])
async def test_the_history_of_a_checkout_stays_short(world: World, steps: Placement) -> None:
    order = await world.an_order(steps)
    await order.asks_for_the_decision()
    assert await order.ends() == COMPLETED
    description = await order.handle.describe()
    assert description.history_length <= EVENTS_OF_HISTORY[steps]

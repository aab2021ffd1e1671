"""What a batch costs does not depend on how many events it has."""

from __future__ import annotations

from itertools import chain, islice

import pytest

from domain.identifiers import OrderId
from projections import stock_level
from tests.projections.stories import Shop
from tests.projections.world import World
from tests.statements import statements_of


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return statements_of(world.url, monkeypatch)


@pytest.mark.thorough
async def test_a_batch_is_a_fixed_number_of_statements(world: World, statements: list[str]) -> None:
    """Read the page, move the checkpoints; read the rows of all read models, and what is parked;
    write the rows of all read models, and totals.
    """
    shop = Shop()
    runner = world.runner(lease=600)
    async with world.pool.connection() as connection:
        await runner.tick(connection)
        costs = []
        for count in (1, 40):
            story = [
                told for number in range(count) for told in shop.sells(OrderId(f"{count}-{number}"))
            ]
            for stream, events in story if count > 1 else chain(shop.opens(), story):
                await world.append(stream, *events)
            statements.clear()
            assert sum(await runner.tick(connection)) >= count * 20
            costs.append(len(statements))

    assert costs == [4, 4]


async def test_looking_for_events_in_vain_is_one_statement_or_two(
    world: World, statements: list[str]
) -> None:
    """The second where anybody wrote anything, in whatever database of the server."""
    runner = world.runner(lease=600)
    async with world.pool.connection() as connection:
        for _ in range(3):
            await runner.tick(connection)
        statements.clear()
        await runner.tick(connection)

    assert len(statements) <= 2


async def test_events_that_nobody_handles_are_two_statements(
    world: World, statements: list[str]
) -> None:
    runner = world.runner([stock_level.PROJECTION], lease=600)
    shop = Shop()
    async with world.pool.connection() as connection:
        await runner.tick(connection)
        for stream, events in islice(shop.sells(OrderId("1")), 3):
            await world.append(stream, *events)
        statements.clear()
        assert sum(await runner.tick(connection)) == 3

    assert len(statements) == 2

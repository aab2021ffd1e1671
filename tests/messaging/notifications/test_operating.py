"""What a person does with messages that were not sent."""

from __future__ import annotations

import pytest
from psycopg.errors import CheckViolation

from handrail.kernel import Attribution
from handrail.notifications import operations
from handrail.notifications.operations import Standing, StuckFilter
from tests.messaging.notifications.world import World
from tests.projections.world import until

ANN = Attribution("ann", "mended, ticket 7")


async def try_all(world: World) -> None:
    async with world.notifying(attempts=2):
        await until(world.nothing_waits)


@pytest.fixture
async def stuck(world: World) -> World:
    """One that the provider never answered clearly, and one that it refused."""
    await world.knows("lost", email="to_broken")
    await world.knows("gone", email="to_declined")
    await world.enqueue("parked-1", "lost")
    await world.enqueue("failed-1", "gone")
    await try_all(world)
    return world


async def test_what_is_stuck_is_shown_with_its_reason(stuck: World) -> None:
    async with stuck.pool.connection() as connection:
        found = await operations.stuck(connection)
    assert {(one.source, one.state, one.attempts, one.reason) for one in found} == {
        ("parked-1", "parked", 2, "HTTP 500"),
        ("failed-1", "failed", 1, "unreachable"),
    }


async def test_what_was_refused_goes_to_the_new_address_under_a_new_key(stuck: World) -> None:
    """Under the old one the provider would only say no again."""
    await stuck.sql("UPDATE notification_contacts SET email = 'new-' || customer")
    async with stuck.pool.connection() as connection:
        assert await operations.retry(connection, ANN, StuckFilter(source="failed-1")) == 1
    await try_all(stuck)
    [carried] = await stuck.carried()
    assert (carried["key"], carried["to"]) == ("failed-1/email/2", "new-gone")
    [row] = await stuck.sql(
        "SELECT state, actor, actor_reason FROM notifications WHERE source = 'failed-1'"
    )
    assert row == ("sent", "ann", "mended, ticket 7")


async def test_what_may_have_been_sent_is_tried_again_under_its_key(world: World) -> None:
    """The provider had it all along: then it is not sent a second time."""
    await world.knows("lost", email="to_lost")
    await world.enqueue("m-1", "lost")
    async with world.notifying(attempts=1):
        await until(world.nothing_waits)
    assert await world.states() == {("m-1", "email"): "parked"}
    assert len(await world.carried()) == 1
    await world.sql("UPDATE notification_contacts SET email = 'elsewhere'")
    async with world.pool.connection() as connection:
        assert await operations.retry(connection, ANN) == 1
    await try_all(world)
    assert await world.states() == {("m-1", "email"): "sent"}
    assert len(await world.carried()) == 1


async def test_all_that_is_stuck_is_tried_again_with_one_command(stuck: World) -> None:
    await stuck.sql("UPDATE notifications SET address = 'mended' WHERE source = 'parked-1'")
    await stuck.sql("UPDATE notification_contacts SET email = 'mended'")
    async with stuck.pool.connection() as connection:
        assert await operations.retry(connection, ANN) == 2
    await try_all(stuck)
    assert set((await stuck.states()).values()) == {"sent"}


async def test_what_is_discarded_says_who_and_why(stuck: World) -> None:
    async with stuck.pool.connection() as connection:
        assert await operations.discard(connection, ANN, StuckFilter(source="parked-1")) == 1
        assert await operations.retry(connection, ANN, StuckFilter(source="parked-1")) == 0
    [row] = await stuck.sql(
        "SELECT state, reason, actor, actor_reason FROM notifications WHERE source = 'parked-1'"
    )
    assert row == ("discarded", "HTTP 500", "ann", "mended, ticket 7")


async def test_nothing_is_discarded_by_nobody(stuck: World) -> None:
    with pytest.raises(CheckViolation):
        await stuck.sql("UPDATE notifications SET state = 'discarded'")


async def test_the_figures_tell_the_lanes_apart(stuck: World) -> None:
    await stuck.enqueue("m-1", "lost")
    await stuck.knows("ann")
    async with stuck.pool.connection() as connection:
        transactional, campaign = await operations.standing(connection)
    assert transactional.waiting == transactional.parked == transactional.failed == 1
    assert 60 <= transactional.seconds < 120
    assert campaign == Standing("campaign", 0, 0.0, 0, 0)

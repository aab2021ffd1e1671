"""The owner of a lease is alive as long as it renews it, wherever the database's clock is put."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions.heartbeats import Sign, SignsOfLife
from handrail.eventstore.subscriptions.leases import Leases
from handrail.eventstore.subscriptions.registration import enroll, is_followed
from tests.eventstore.interleaving import Lab

LEASE = timedelta(seconds=3)
SHARDS = 16


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_who_changes_nothing_for_a_lease_is_silent() -> None:
    clock = Clock()
    signs: SignsOfLife[str] = SignsOfLife(clock)
    said = {"a": Sign(1, LEASE), "b": Sign(1, LEASE)}
    assert signs.silent(said) == set()
    clock.now += 2.9
    assert signs.silent({**said, "b": Sign(2, LEASE)}) == set()
    clock.now += 0.1
    assert signs.silent({**said, "b": Sign(2, LEASE)}) == {"a"}


def test_an_owner_with_longer_leases_has_longer() -> None:
    clock = Clock()
    signs: SignsOfLife[str] = SignsOfLife(clock)
    said = {"a": Sign(1, 10 * LEASE)}
    signs.silent(said)
    clock.now += 20
    assert signs.silent(said) == set()


def test_who_was_away_begins_anew() -> None:
    clock = Clock()
    signs: SignsOfLife[str] = SignsOfLife(clock)
    signs.silent({"a": Sign(1, LEASE)})
    signs.silent({})
    clock.now += 5
    assert signs.silent({"a": Sign(1, LEASE)}) == set()


@dataclass
class Two:
    """Two processes that share the checkpoints of `x`, one of which has them; `clock` is what the
    other one sees pass.
    """

    lab: Lab
    connection: Connection
    dead: Leases
    heir: Leases
    clock: Clock

    async def balance(self, one: Leases) -> int:
        """How many checkpoints it has now."""
        await one.renew(self.connection)
        return len(await one.balance(self.connection, ["x"]))

    async def put_clock_back(self, by: str) -> None:
        await self.lab.sql.execute(
            "UPDATE checkpoints SET leased_until = leased_until + %s::interval", [by]
        )
        await self.lab.sql.execute(
            "UPDATE followers SET alive_until = alive_until + %s::interval", [by]
        )


@pytest.fixture
async def two(lab: Lab) -> Two:
    await lab.sql.execute("DELETE FROM followers")
    connection, clock = await lab.connect(autocommit=True), Clock()
    dead, heir = Leases("dead", "k", LEASE), Leases("heir", "k", LEASE, clock)
    await enroll(connection, "x")
    two = Two(lab, connection, dead, heir, clock)
    assert await two.balance(dead) == SHARDS
    return two


@pytest.mark.parametrize("by", ["20 s", "1 h", "3 days"])
async def test_a_dead_owner_is_taken_over_after_a_lease_though_the_clock_was_put_back(
    two: Two, by: str
) -> None:
    await two.put_clock_back(by)
    assert await two.balance(two.heir) == 0
    two.clock.now += 2.9
    assert await two.balance(two.heir) == 0
    two.clock.now += 0.2
    assert await two.balance(two.heir) == SHARDS


async def test_a_living_owner_keeps_its_share_though_the_clock_was_put_back(two: Two) -> None:
    await two.put_clock_back("1 h")
    for _ in range(5):
        two.clock.now += 1.5
        await two.balance(two.heir)
        await two.dead.renew(two.connection)
    assert await two.lab.rows("SELECT owner, count(*) FROM checkpoints GROUP BY 1") == [
        ("dead", SHARDS)
    ]


async def test_who_is_silent_while_it_moves_its_checkpoint_keeps_it(two: Two) -> None:
    """A batch may take longer than a lease: the row is locked, and nobody waits for it."""
    await two.put_clock_back("1 h")
    await two.balance(two.heir)
    moving = await two.lab.writer()
    await moving.connection.execute("SELECT FROM checkpoints WHERE shard = 3 FOR UPDATE")
    two.clock.now += 3.1

    assert await two.balance(two.heir) == SHARDS - 1

    await moving.rollback()
    assert await two.lab.rows("SELECT shard FROM checkpoints WHERE owner = 'dead'") == [(3,)]


async def test_a_lease_that_ends_later_than_any_can_is_no_sign_of_a_follower(two: Two) -> None:
    assert await is_followed(two.connection, "x")
    await two.put_clock_back("1 h")
    assert not await is_followed(two.connection, "x")

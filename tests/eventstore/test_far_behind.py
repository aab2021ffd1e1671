"""How far behind a follower is, and whether it has caught up, is what counting events says."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions import lag as lags
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.messaging.consumers.store_consumer import has_caught_up, snapshot
from tests.eventstore.costs import CONSUMER
from tests.eventstore.interleaving import Lab

pytestmark = pytest.mark.thorough

UNSEEN = """
SELECT count(*) FROM outbox o JOIN checkpoints c ON c.shard = o.shard
WHERE pg_visible_in_snapshot(o.txid, pg_current_snapshot())
  AND NOT pg_visible_in_snapshot(o.txid, c.since)
  AND NOT (c.until IS NOT NULL AND pg_visible_in_snapshot(o.txid, c.until)
           AND o.position <= c.after_position)
"""


async def _checkpoint(lab: Lab, since: str, until: str | None, after: int) -> None:
    await lab.sql.execute("DELETE FROM checkpoints")
    await lab.sql.execute(
        "INSERT INTO checkpoints (projection, shard, since, until, after_position)"
        " SELECT %s, s, %s, %s, %s FROM generate_series(0, 15) AS s",
        [CONSUMER.follower, since, until, after],
    )


async def _moments(lab: Lab) -> list[str]:
    """What was seen from time to time, while some wrote for long and others came between them."""
    connection = await lab.connect(autocommit=True)
    moments = [await snapshot(connection)]
    for round_ in range(3):
        slow, fast, lost = await lab.writers(3)
        await slow.append(f"slow-{round_}", 2)
        await lost.append(f"lost-{round_}")
        await fast.append(f"fast-{round_}", 3)
        moments.append(await snapshot(connection))
        await fast.commit()
        await lab.appended(f"a-{round_}", 2)
        moments.append(await snapshot(connection))
        await lost.rollback()
        await slow.commit()
    return [*moments, await snapshot(connection)]


async def _lag(lab: Lab) -> Lag:
    url = make_url(lab.url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            [one] = await lag(connection)
            return one
    finally:
        await engine.dispose()


async def test_the_lag_is_what_counting_says_wherever_a_follower_stands(lab: Lab) -> None:
    moments = await _moments(lab)
    for since, until in itertools.combinations([*moments, None], 2):
        for after in (0, 7, 15) if until else (0,):
            await _checkpoint(lab, str(since), until, after)
            assert (await _lag(lab)).events == await lab.value(UNSEEN), (since, until, after)


async def test_who_has_caught_up_has_nothing_of_the_goal_before_it(lab: Lab) -> None:
    moments = await _moments(lab)
    connection: Connection = await lab.connect(autocommit=True)
    unseen = UNSEEN.replace("pg_current_snapshot()", "%s")
    answers = set()
    for since, until in itertools.combinations([*moments, None], 2):
        for after in (0, 7, 15) if until else (0,):
            await _checkpoint(lab, str(since), until, after)
            for goal in moments:
                left = await lab.value(unseen, goal)
                said = await has_caught_up(connection, CONSUMER, goal)
                assert said is (left == 0), (since, until, after, goal)
                answers.add(said)
    assert answers == {True, False}


async def test_beyond_what_is_counted_positions_say_how_far_it_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await lab.connect(autocommit=True)
    before = await snapshot(connection)
    for number in range(10):
        await lab.appended(f"a-{number}", 20)
    await _checkpoint(lab, before, None, 0)
    monkeypatch.setattr(lags, "COUNTED", 50)

    found = await _lag(lab)

    assert found.events == 200
    assert found.seconds > 0


async def test_positions_that_no_event_has_between_two_epochs_do_not_count(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await lab.connect(autocommit=True)
    before = await snapshot(connection)
    for number in range(5):
        await lab.appended(f"a-{number}", 20)
    await lab.sql.execute("SELECT adopt_store('the tests say so', 'tests')")
    for number in range(5):
        await lab.appended(f"b-{number}", 20)
    monkeypatch.setattr(lags, "COUNTED", 50)
    found = []
    for since in (before, NOTHING_SEEN):
        await _checkpoint(lab, since, None, 0)
        found.append((await _lag(lab)).events)
    await lab.sql.execute("DELETE FROM store_epochs WHERE epoch > 1")

    assert found == [200, 200]


async def test_of_what_is_parked_so_many_are_counted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.sql.execute("TRUNCATE parked_events")
    await _checkpoint(lab, await snapshot(await lab.connect(autocommit=True)), None, 0)
    await lab.sql.execute(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        " SELECT p, 'a-1', n, '' FROM generate_series(1, 30) AS n,"
        " (VALUES (%s), (%s), ('another')) AS names (p)",
        [CONSUMER.follower, f"{CONSUMER.follower}/money"],
    )
    assert (await _lag(lab)).parked == 60
    monkeypatch.setattr(lags, "COUNTED", 20)
    assert (await _lag(lab)).parked == 40

"""Appending: all or nothing, in one round trip, in the order of versions."""

from __future__ import annotations

import orjson
import pytest
from psycopg import errors

from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, VersionConflict, shard_of
from tests.eventstore.interleaving import CODEC, Lab, Noted, notes, step
from tests.eventstore.tracing import traced


async def _stored(lab: Lab) -> list[tuple[str, int]]:
    return await lab.rows("SELECT stream, version FROM events ORDER BY position")


async def test_an_append_is_one_statement_and_one_round_trip(lab: Lab) -> None:
    """Read off the wire: what the driver sent and received, once the statement was prepared."""
    async with open_pool(lab.url, size=1) as pool:
        store = EventStore(pool, CODEC)
        appends = [("credit-1", ANY_VERSION, notes(3)), ("stock-1", ANY_VERSION, notes(2))]
        for name in ("first", "second"):
            await store.append(appends, context=step(name, closes=["third"]))
        async with pool.connection() as connection:
            pass  # the only one: the append gets it again
        with traced(connection) as wire:
            await store.append(appends, context=step("fourth", closes=["third"]))
    assert wire.sent == ["Bind", "Describe", "Execute", "Sync"]
    assert wire.round_trips == 1


async def test_several_streams_are_appended_together(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("b-1", 0, notes(2)), ("a-1", 0, notes(1))])
    assert await _stored(lab) == [("b-1", 1), ("b-1", 2), ("a-1", 1)]
    assert await lab.rows("SELECT name, version FROM streams ORDER BY name") == [
        ("a-1", 1),
        ("b-1", 2),
    ]


async def test_every_event_is_in_the_outbox_too(lab: Lab) -> None:
    await lab.appended("a-1", 3)
    assert await lab.rows("SELECT position, txid, shard FROM outbox ORDER BY position") == (
        await lab.rows("SELECT position, txid, shard FROM events ORDER BY position")
    )


async def test_a_conflict_in_one_stream_writes_nothing_and_burns_no_position(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("a-1", 0, notes(1)), ("b-1", 0, notes(1))])
    before = await lab.counts()
    with pytest.raises(VersionConflict, match="stream b-1 is at version 1, not 0"):
        await store.append(
            [("a-1", 1, notes(1)), ("b-1", 0, notes(1)), ("c-1", 0, notes(1))], context=step()
        )
    assert await lab.counts() == before


async def test_a_new_stream_is_at_version_zero(lab: Lab) -> None:
    await (await lab.store()).append([("a-1", 0, notes(1))])
    assert await _stored(lab) == [("a-1", 1)]


@pytest.mark.parametrize(("expected", "there"), [(1, 0), (1, 2), (3, 2), (0, 2)])
async def test_a_wrong_expected_version_is_refused(lab: Lab, expected: int, there: int) -> None:
    store = await lab.store()
    if there:
        await store.append([("a-1", 0, notes(there))])
    with pytest.raises(VersionConflict, match=f"is at version {there}, not {expected}"):
        await store.append([("a-1", expected, notes(1))])


async def test_of_two_that_expect_the_same_version_the_second_is_refused(lab: Lab) -> None:
    first, second = await lab.writers(2)
    await first.append("a-1", expected=0)
    with pytest.raises(VersionConflict):
        await lab.waits_until(second, second.append("a-1", expected=0), first.commit)


async def test_any_version_appends_behind_whatever_is_there(lab: Lab) -> None:
    await lab.appended("a-1", 2)
    await lab.appended("a-1", 2)
    assert await _stored(lab) == [("a-1", 1), ("a-1", 2), ("a-1", 3), ("a-1", 4)]


async def test_no_events_only_check_the_version(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("a-1", 0, notes(1))])
    before = await lab.counts()
    await store.append([("a-1", 1, []), ("new-1", 0, [])])
    assert await lab.counts() == before


@pytest.mark.parametrize(("stream", "expected"), [("a-1", 0), ("a-1", 2), ("new-1", 1)])
async def test_no_events_at_a_wrong_version_are_refused(
    lab: Lab, stream: str, expected: int
) -> None:
    store = await lab.store()
    await store.append([("a-1", 0, notes(1))])
    with pytest.raises(VersionConflict, match=f"stream {stream} is at"):
        await store.append([("b-1", 0, notes(1)), (stream, expected, [])])


async def test_a_stream_that_must_be_unchanged_is_read_once_the_others_are_locked(
    lab: Lab,
) -> None:
    """Whoever holds one of the others may be about to change it."""
    first, second = await lab.writers(2)
    await first.store.append([("a-1", 0, notes(1)), ("b-1", 0, notes(1))])
    late = second.store.append([("a-1", 0, []), ("b-1", ANY_VERSION, notes(1))])
    with pytest.raises(VersionConflict, match="stream a-1 is at version 1, not 0"):
        await lab.waits_until(second, late, first.commit)


async def test_streams_in_another_order_than_everybodys_are_refused(lab: Lab) -> None:
    """By the function itself: the store sorts them."""
    streams = [{"name": name, "shard": 0, "expected": None, "added": 0} for name in ("b-1", "B-1")]
    with pytest.raises(errors.RaiseException, match="stream B-1 comes after b-1"):
        await lab.rows(
            "SELECT append_events(%s::text::jsonb, '[]', '{}', NULL)",
            orjson.dumps(streams).decode(),
        )


async def test_positions_follow_versions_across_appends_and_streams(lab: Lab) -> None:
    store = await lab.store()
    for _ in range(5):
        await store.append([("b-1", ANY_VERSION, notes(3)), ("a-1", ANY_VERSION, notes(2))])
    assert await lab.value(
        "SELECT bool_and(ordered) FROM (SELECT version = row_number()"
        " OVER (PARTITION BY stream ORDER BY position) AS ordered FROM events) AS e"
    )


async def test_a_later_append_of_a_stream_has_later_positions_though_it_began_first(
    lab: Lab,
) -> None:
    early, late = await lab.writers(2)
    await early.write_elsewhere()
    await late.append("a-1")
    await late.commit()
    await early.append("a-1")
    await early.commit()
    assert await lab.rows(
        "SELECT version, rank() OVER (ORDER BY txid) FROM events ORDER BY position"
    ) == [(1, 2), (2, 1)]


async def test_a_stream_given_twice_is_refused(lab: Lab) -> None:
    store = await lab.store()
    with pytest.raises(ValueError, match="given twice"):
        await store.append([("a-1", 0, notes(1)), ("a-1", 1, notes(1))])


async def test_a_thousand_events_are_one_append(lab: Lab) -> None:
    store = await lab.store()
    await store.append([(f"a-{n}", 0, notes(10)) for n in range(100)])
    assert await lab.rows(
        "SELECT count(*), count(DISTINCT txid), count(DISTINCT stream), max(version) FROM events"
    ) == [(1000, 1, 100, 10)]


async def test_metadata_is_stored_with_every_event(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("a-1", 0, notes(2))], metadata={"actor": "ann", "cause": {"saga": "s"}})
    assert await lab.rows("SELECT DISTINCT metadata FROM events") == [
        ({"actor": "ann", "cause": {"saga": "s"}},)
    ]


async def test_events_are_stored_under_their_name_and_version(lab: Lab) -> None:
    await (await lab.store()).append([("a-1", 0, [Noted(text='say "no"\\ {é}')])])
    assert await lab.rows("SELECT type, schema, data FROM events") == [
        ("Noted", 1, {"text": 'say "no"\\ {é}'})
    ]


async def test_the_token_names_the_transaction(lab: Lab) -> None:
    appended = await (await lab.store()).append([("a-1", 0, notes(1))])
    assert appended.token == await lab.value("SELECT txid::text FROM events")


@pytest.mark.parametrize(
    ("stream", "shard"),
    [("order-o1", 13), ("payment-o1", 13), ("credit-c-2", 4), ("order-", 0), ("é-ü", 5)],
)
async def test_a_stream_never_changes_its_shard(lab: Lab, stream: str, shard: int) -> None:
    assert shard_of(stream) == shard
    await lab.appended(stream)
    assert await lab.value("SELECT shard FROM events") == shard


async def test_appends_to_overlapping_streams_in_any_order_do_not_deadlock(lab: Lab) -> None:
    """Interleaved by force: each has one of the two streams before it asks for the other."""
    first, second = await lab.writers(2)
    one, other = (
        [("a-1", ANY_VERSION, notes(1)), ("b-1", ANY_VERSION, notes(1))],
        [("b-1", ANY_VERSION, notes(1)), ("a-1", ANY_VERSION, notes(1))],
    )
    await first.store.append(one)
    await lab.waits_until(second, second.store.append(other), first.commit)
    await second.commit()
    assert await lab.rows("SELECT name, version FROM streams ORDER BY name") == [
        ("a-1", 2),
        ("b-1", 2),
    ]

"""Blame and changes: they agree with a field-by-field replay of whatever was stored."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import pytest

from domain.identifiers import OrderId
from handrail.eventstore.store import Recorded
from handrail.projections.as_of import HistoryTooLong
from handrail.projections.blame import Blame, Changes, RowChange, blame_of, changes_of
from handrail.projections.projection import Happened, Projection
from projections import merchant_balance, order_status, stock_level
from runtime.app import HANDRAIL
from tests.projections.long_history import a_merchant_with
from tests.projections.stories import Shop
from tests.projections.test_as_of import Committing, change_events
from tests.projections.world import World

CODEC = HANDRAIL.codec


async def sold(world: World, orders: int, seed: int) -> None:
    """A shop in which each checkout goes one way or the other."""
    shop, chance = Shop(), random.Random(seed)
    stories = [shop.opens()]
    for number in range(1, orders + 1):
        order = OrderId(str(number))
        stories.append(shop.sells(order) if chance.random() < 0.7 else shop.is_refused(order))
    for stream, events in chain(*stories):
        await world.append(stream, *events)


async def recorded_in(world: World) -> Sequence[Recorded]:
    found = await world.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events ORDER BY position"
    )
    return [Recorded(*one) for one in found]


Replayed = Mapping[str, tuple[str, int]]


async def replay(
    world: World, projection: Projection[Any], until: datetime | None = None
) -> Mapping[str, tuple[Any, Replayed]]:
    """By id: the row, and for each of its fields the event after which it last differed."""
    rows: dict[str, Any] = {}
    set_by: dict[str, dict[str, tuple[str, int]]] = {}
    for recorded in await recorded_in(world):
        if not projection.reads(recorded) or (until and recorded.recorded_at > until):
            continue
        event = CODEC.decode(recorded.type, recorded.schema, recorded.data)
        happened = Happened.of(recorded, event)
        before = rows.get(happened.id)
        after = projection.evolve(before, happened)
        rows[happened.id] = after
        for name in projection.columns if after is not None else ():
            if before is None or getattr(before, name) != getattr(after, name):
                set_by.setdefault(happened.id, {})[name] = (recorded.stream, recorded.version)
    return {id_: (row, set_by[id_]) for id_, row in rows.items() if row is not None}


def places(blame: Blame[Any]) -> Replayed:
    return {name: (by.stream, by.version) for name, by in blame.set_by.items()}


async def agrees(world: World) -> int:
    """How many rows of all read models were compared."""
    compared = 0
    for projection in HANDRAIL.read_models:
        for id_, (row, set_by) in (await replay(world, projection)).items():
            blame = await blame_of(Committing(world), projection, id_, CODEC)
            assert blame.row == row, (projection.name, id_)
            assert places(blame) == set_by, (projection.name, id_)
            assert blame.complete
            compared += 1
    return compared


async def test_blame_agrees_with_a_replay_of_every_read_model(world: World) -> None:
    await sold(world, 40, seed=1)
    assert await agrees(world) > 100


@pytest.mark.thorough
async def test_blame_agrees_with_a_replay_of_a_thousand_orders(world: World) -> None:
    await sold(world, 1_000, seed=2)
    assert await agrees(world) > 2_000


async def test_blame_of_a_moment_agrees_with_a_replay_until_then(world: World) -> None:
    await sold(world, 10, seed=3)
    moments = [one.recorded_at for one in await recorded_in(world)][::7]
    for moment in moments:
        expected = await replay(world, order_status.PROJECTION, moment)
        for id_, (row, set_by) in expected.items():
            blame = await blame_of(
                Committing(world), order_status.PROJECTION, id_, CODEC, until=moment
            )
            assert (blame.row, places(blame)) == (row, set_by)


async def test_what_is_not_there_has_no_blame(world: World) -> None:
    blame = await blame_of(Committing(world), order_status.PROJECTION, "none", CODEC)
    assert (blame.row, blame.set_by) == (None, {})


async def test_the_changes_from_the_beginning_lead_to_the_row(world: World) -> None:
    await sold(world, 5, seed=4)
    for id_, (row, _) in (await replay(world, order_status.PROJECTION)).items():
        found = await changes_of(Committing(world), order_status.PROJECTION, id_, CODEC)
        values: dict[str, Any] = {}
        for change in found.changes:
            for one in change.fields:
                assert values.get(one.field) == one.before
                values[one.field] = one.after
        assert order_status.PROJECTION.row(**values) == row


async def test_changes_between_two_moments_are_what_makes_one_row_the_other(world: World) -> None:
    await sold(world, 3, seed=5)
    projection = merchant_balance.PROJECTION
    moments = [one.recorded_at for one in await recorded_in(world)]
    [id_] = await replay(world, projection)
    for since, until in zip(moments[::5], moments[12::5], strict=False):
        found = await changes_of(
            Committing(world), projection, id_, CODEC, since=since, until=until
        )
        was, now = [
            (await replay(world, projection, moment)).get(id_, (None, {}))[0]
            for moment in (since, until)
        ]
        values = {} if was is None else {one: getattr(was, one) for one in projection.columns}
        values |= {one.field: one.after for change in found.changes for one in change.fields}
        assert (projection.row(**values) if values else None) == now
        assert all(since < change.by.recorded_at <= until for change in found.changes)


async def test_a_change_names_its_event_actor_cause_and_reason(world: World) -> None:
    await sold(world, 6, seed=6)
    ids = await replay(world, order_status.PROJECTION)
    stored = {(one.stream, one.version): one for one in await recorded_in(world)}
    for id_ in ids:
        found = await changes_of(Committing(world), order_status.PROJECTION, id_, CODEC)
        for by in (change.by for change in found.changes):
            event = stored[by.stream, by.version]
            assert (by.type, by.position) == (event.type, event.position)
            assert by.recorded_at == event.recorded_at
            assert by.actor == event.metadata.get("actor", "")
            assert by.causation == event.metadata.get("causation", "")
            assert by.reason == event.data.get("reason", "")


async def paged(world: World, projection: Projection[Any], id_: str, **how: Any) -> list[RowChange]:
    after, found = 0, list[RowChange]()
    while True:
        page: Changes = await changes_of(
            Committing(world), projection, id_, CODEC, after=after, **how
        )
        found += page.changes
        if page.next is None:
            return found
        assert page.next > after
        after = page.next


@pytest.mark.parametrize("how", [{"limit": 1}, {"limit": 7}, {"events_at_most": 10}], ids=str)
async def test_pages_leave_no_change_out(world: World, how: Mapping[str, int]) -> None:
    await sold(world, 10, seed=7)
    projection = stock_level.PROJECTION
    [id_] = await replay(world, projection)
    whole = await changes_of(Committing(world), projection, id_, CODEC, limit=1_000)
    assert len(whole.changes) > 10
    assert await paged(world, projection, id_, **how) == whole.changes


async def blame_until_done(world: World, id_: str, at_most: int) -> tuple[int, Blame[Any]]:
    for reads in range(1, 100):
        try:
            return reads, await blame_of(
                Committing(world), merchant_balance.PROJECTION, id_, CODEC, events_at_most=at_most
            )
        except HistoryTooLong:
            continue
    raise AssertionError("it never ends")


async def test_of_a_long_history_blame_says_what_is_older_than_what_it_folds(world: World) -> None:
    merchant = await a_merchant_with(world.url, 1_000)
    reads, blame = await blame_until_done(world, merchant, 300)
    whole = await blame_of(Committing(world), merchant_balance.PROJECTION, merchant, CODEC)
    assert reads > 2
    assert blame.row == whole.row
    assert whole.complete
    assert not blame.complete
    assert blame.set_by.items() <= whole.set_by.items()


async def test_where_the_read_model_stands_still_blame_does(world: World) -> None:
    await sold(world, 1, seed=8)
    projection = order_status.PROJECTION
    [(position,)] = await world.sql(
        "SELECT position FROM events WHERE stream = 'order-1' AND version = 2"
    )
    await change_events(
        world, """UPDATE events SET data = '{"unknown": 1}' WHERE position = %s""", position
    )
    blame = await blame_of(Committing(world), projection, "1", CODEC)
    changes = await changes_of(Committing(world), projection, "1", CODEC)
    assert blame.stopped_by is not None
    assert blame.stopped_by.position == position
    assert changes.stopped_by == blame.stopped_by
    assert {by.position for by in blame.set_by.values()} <= set(range(position))

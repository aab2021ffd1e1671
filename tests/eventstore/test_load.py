"""Loading: a usable snapshot, and what came after it."""

from __future__ import annotations

import asyncio

from handrail.eventstore.store import Loaded
from tests.eventstore.interleaving import Lab, Noted, notes, store_over
from tests.eventstore.tracing import traced

FORM, OTHER_FORM = "form-1", "form-2"
STATE = b'{"sum": 3}'
KEPT = "SELECT version, revision FROM state_snapshots ORDER BY revision"


def _numbers(loaded: Loaded) -> list[str]:
    return [event.text for event in loaded.events if isinstance(event, Noted)]


async def test_a_stream_is_loaded_in_the_order_of_its_versions(lab: Lab) -> None:
    await lab.appended("a-1", 12)
    loaded = (await (await lab.store()).load({"a-1": 0}))["a-1"]
    assert (_numbers(loaded), loaded.version) == ([str(n) for n in range(12)], 12)


async def test_only_what_came_after_a_known_version_is_loaded(lab: Lab) -> None:
    await lab.appended("a-1", 5)
    loaded = (await (await lab.store()).load({"a-1": 3}))["a-1"]
    assert (_numbers(loaded), loaded.version) == (["3", "4"], 5)


async def test_a_stream_that_is_not_there_is_at_version_zero(lab: Lab) -> None:
    assert await (await lab.store()).load({"a-1": 0}) == {"a-1": Loaded(0, None, [])}


async def test_a_stream_that_has_not_moved_stays_at_the_known_version(lab: Lab) -> None:
    await lab.appended("a-1", 3)
    assert await (await lab.store()).load({"a-1": 3}) == {"a-1": Loaded(3, None, [])}


async def test_a_snapshot_stands_in_for_the_events_it_holds(lab: Lab) -> None:
    await lab.appended("a-1", 5)
    store = await lab.store()
    await store.save_snapshot("a-1", 3, FORM, STATE)
    loaded = (await store.load({"a-1": 0}, FORM))["a-1"]
    assert (loaded.snapshot, _numbers(loaded), loaded.version) == ({"sum": 3}, ["3", "4"], 5)


async def test_a_snapshot_of_the_newest_version_is_enough(lab: Lab) -> None:
    await lab.appended("a-1", 5)
    store = await lab.store()
    await store.save_snapshot("a-1", 5, FORM, STATE)
    assert (await store.load({"a-1": 0}, FORM))["a-1"] == Loaded(5, {"sum": 3}, [])


async def test_a_snapshot_of_another_form_is_passed_over(lab: Lab) -> None:
    await lab.appended("a-1", 2)
    store = await lab.store()
    await store.save_snapshot("a-1", 2, FORM, STATE)
    for fingerprint in (OTHER_FORM, ""):
        loaded = (await store.load({"a-1": 0}, fingerprint))["a-1"]
        assert (loaded.snapshot, len(loaded.events)) == (None, 2)


async def test_a_snapshot_older_than_what_is_known_is_passed_over(lab: Lab) -> None:
    await lab.appended("a-1", 5)
    store = await lab.store()
    await store.save_snapshot("a-1", 2, FORM, STATE)
    loaded = (await store.load({"a-1": 2}, FORM))["a-1"]
    assert (loaded.snapshot, len(loaded.events)) == (None, 3)


async def test_an_older_snapshot_does_not_replace_a_newer_one(lab: Lab) -> None:
    store = await lab.store()
    await store.save_snapshot("a-1", 4, FORM, STATE)
    await store.save_snapshot("a-1", 3, FORM, b"{}")
    assert await lab.rows("SELECT version, state FROM state_snapshots") == [(4, {"sum": 3})]


async def test_snapshots_of_two_revisions_are_kept_side_by_side(lab: Lab) -> None:
    store = await lab.store()
    await store.save_snapshot("a-1", 4, FORM, STATE)
    await store.save_snapshot("a-1", 3, OTHER_FORM, b"{}")
    assert await lab.rows(KEPT) == [(4, FORM), (3, OTHER_FORM)]


async def test_of_three_revisions_the_one_kept_longest_ago_goes(lab: Lab) -> None:
    store = await lab.store()
    for version, revision in ((1, FORM), (2, OTHER_FORM), (3, FORM), (4, "form-3")):
        await store.save_snapshot("a-1", version, revision, STATE)
    assert await lab.rows(KEPT) == [(3, FORM), (4, "form-3")]


async def test_releases_of_three_revisions_keep_theirs_at_once_without_a_deadlock(
    lab: Lab,
) -> None:
    stores = [await lab.store() for _ in range(3)]
    async with asyncio.timeout(20):
        for version in range(1, 31):
            await asyncio.gather(
                *(
                    one.save_snapshot("a-1", version, f"form-{number}", STATE)
                    for number, one in enumerate(stores)
                )
            )
    await stores[0].save_snapshot("a-1", 99, FORM, STATE)
    assert len(await lab.rows(KEPT)) == 2


async def test_a_state_of_another_epoch_is_not_kept(lab: Lab) -> None:
    await (await lab.store()).save_snapshot("a-1", 4, FORM, STATE, epoch=7)
    assert await lab.rows(KEPT) == []


async def test_several_streams_are_loaded_in_one_round_trip(lab: Lab) -> None:
    await lab.appended("a-1", 2)
    await lab.appended("b-1", 3)
    connection = await lab.connect(autocommit=True)
    store = store_over(connection)
    await store.save_snapshot("b-1", 1, FORM, STATE)
    with traced(connection) as wire:
        loaded = await store.load({"b-1": 0, "no-1": 0, "a-1": 1}, FORM)
    assert wire.round_trips == 1
    assert {name: (one.version, len(one.events)) for name, one in loaded.items()} == {
        "b-1": (3, 2),
        "no-1": (0, 0),
        "a-1": (2, 1),
    }


async def test_what_was_loaded_is_what_was_appended(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("a-1", 0, notes(3))])
    assert (await store.load({"a-1": 0}))["a-1"].events == notes(3)

"""Write levels in a real database: two releases side by side on the same store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from handrail.access.database_roles import DatabaseRoles
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.app import App
from handrail.database_engine import open_engine
from handrail.eventstore import write_levels
from handrail.eventstore.codec import Codec
from handrail.eventstore.level_tables import EVERY
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.eventstore.write_levels import (
    DEAD_AFTER,
    Announcer,
    CannotRead,
    raise_levels,
    standing,
)
from handrail.evolution.forms import Form
from handrail.kernel import Event
from handrail.processes.announced import announced, of_engine, of_pool
from handrail.sagas.shapes import SagaShapes
from handrail.settings import Settings
from tests.eventstore.interleaving import DEADLINE, Lab, Writer, step, store_over
from tests.eventstore.tracing import traced
from tests.evolution import new_release as new
from tests.evolution import old_release as old
from tests.evolution.new_release import NEW
from tests.evolution.old_release import OLD

ALL = {"BookRoom", "RoomBooked", "StayMeasured", "MealServed", "RemarkNoted", "KeyGiven"}
ALL |= {"GuestMoved", "DiscountGranted"}
BOOKED = new.RoomBooked(guest="a", amount=7, floor=2)
PARTS = (new.AddressChanged(guest="a", street="s"), new.PhoneChanged(guest="a", phone="1"))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def lab(database: str) -> AsyncIterator[Lab]:
    async with Lab(database) as lab:
        yield lab


def codec_of(app: App) -> Codec:
    """A process's own: each has levels of its own."""
    return Codec.of(app.codec.classes.values(), app.evolutions)


def process(app: App, name: str, clock: Clock, *, after: float | None = 60) -> Announcer:
    return Announcer(
        codec_of(app), name, "worker", release=f"of {name}", raises_after=after, clock=clock
    )


async def levels(lab: Lab) -> dict[str, int]:
    return dict(await lab.rows("SELECT event, version FROM event_levels WHERE event <> %s", EVERY))


async def side_by_side(lab: Lab, clock: Clock) -> tuple[Announcer, Announcer]:
    """An old and a new process on a store that an old one began."""
    first, second = process(OLD, "old", clock), process(NEW, "new", clock)
    await first.beat(lab.sql)
    await second.beat(lab.sql)
    return first, second


async def test_a_store_without_levels_begins_at_the_newest_forms_of_the_first_process(
    lab: Lab,
) -> None:
    announcer = process(NEW, "new", Clock())
    await announcer.beat(lab.sql)
    assert (await levels(lab)).keys() == ALL
    assert announcer.codec.encode(BOOKED).schema == 2


async def test_the_newest_form_is_written_once_the_older_process_is_gone(lab: Lab) -> None:
    clock = Clock()
    first, second = await side_by_side(lab, clock)
    assert await levels(lab) == {}
    assert second.codec.encode(BOOKED).schema == 1

    clock.now += 1000
    await first.beat(lab.sql)
    assert await second.beat(lab.sql) == ()

    await first.leave(lab.sql)
    assert await second.beat(lab.sql) == ()  # all can read it, and not for a minute yet
    clock.now += 59
    assert await second.beat(lab.sql) == ()
    assert second.codec.encode(BOOKED).schema == 1
    clock.now += 1
    assert {form.name for form in await second.beat(lab.sql)} == ALL
    assert second.codec.encode(BOOKED).schema == 2
    assert (await levels(lab))["RoomBooked"] == 2


async def test_an_older_process_that_comes_back_in_time_begins_the_minute_again(lab: Lab) -> None:
    clock = Clock()
    first, second = await side_by_side(lab, clock)
    await first.leave(lab.sql)
    await second.beat(lab.sql)
    clock.now += 59
    again = process(OLD, "old again", clock)
    await again.beat(lab.sql)
    await second.beat(lab.sql)
    await again.leave(lab.sql)
    clock.now += 59
    await second.beat(lab.sql)
    clock.now += 59
    assert await second.beat(lab.sql) == ()
    clock.now += 1
    assert await second.beat(lab.sql) != ()


async def test_a_killed_process_holds_back_until_it_was_silent_for_long_enough(lab: Lab) -> None:
    """By the clock of the process that watches it: the database's may have been put forward."""
    clock = Clock()
    _, second = await side_by_side(lab, clock)
    second.raises_after = 0
    await lab.sql.execute("UPDATE process_versions SET seen_at = seen_at - interval '1 day'")
    await second.beat(lab.sql)
    clock.now += DEAD_AFTER.total_seconds() - 1
    assert await second.beat(lab.sql) == ()
    clock.now += 1
    assert await second.beat(lab.sql) != ()
    assert await lab.rows("SELECT process FROM process_versions") == [("new",)]


async def test_a_level_that_only_an_operator_raises_stays(lab: Lab) -> None:
    clock = Clock()
    first, second = await side_by_side(lab, clock)
    second.raises_after = None
    await first.leave(lab.sql)
    clock.now += 10_000
    assert await second.beat(lab.sql) == ()


async def test_an_older_process_does_not_start_once_the_level_was_raised(lab: Lab) -> None:
    await process(NEW, "new", Clock()).beat(lab.sql)
    with pytest.raises(CannotRead) as refused:
        await process(OLD, "old", Clock()).beat(lab.sql)
    said = str(refused.value)
    assert "RoomBooked version 2 may be written since" in said
    assert "raised by worker new of release of new" in said
    assert "this release reads it up to version 1: start the release that raised it" in said
    assert "KeyGiven version 2 may be written since" in said
    assert "this release does not know it" in said


async def test_a_process_that_was_taken_for_dead_stops_at_its_next_sign_of_life(lab: Lab) -> None:
    clock = Clock()
    first, second = await side_by_side(lab, clock)
    second.raises_after = 0
    clock.now += DEAD_AFTER.total_seconds()
    await second.beat(lab.sql)
    with pytest.raises(CannotRead):
        await first.beat(lab.sql)


async def test_a_level_is_never_lowered(lab: Lab) -> None:
    clock = Clock()
    await process(NEW, "new", clock).beat(lab.sql)
    before = await lab.rows("SELECT * FROM event_levels ORDER BY event")
    with pytest.raises(CannotRead):
        await process(OLD, "old", clock, after=0).beat(lab.sql)
    ladder = next(one for one in NEW.codec.lineages.ladders if one[0] == Form("RoomBooked"))
    for to in ladder:
        wanted = {ladder[0]: to}
        assert not await raise_levels(lab.sql, NEW.codec.lineages, wanted, silent={}, by="tests")
    assert await lab.rows("SELECT * FROM event_levels ORDER BY event") == before


async def held_open(lab: Lab) -> Writer:
    """A connection whose transaction has begun, and stays open until it is committed."""
    writer = await lab.writer()
    await writer.connection.execute("SELECT 1")
    return writer


async def test_a_process_that_starts_while_levels_are_raised_waits_and_sees_them(lab: Lab) -> None:
    """The raise has looked at the processes, and is not committed: the start comes after it."""
    clock = Clock()
    first, _ = await side_by_side(lab, clock)
    await first.leave(lab.sql)
    raising = await held_open(lab)
    wanted = {one[0]: one[-1] for one in NEW.codec.lineages.ladders}
    assert await raise_levels(raising.connection, NEW.codec.lineages, wanted, silent={}, by="tests")
    starting = await lab.writer()
    await starting.connection.set_autocommit(True)
    with pytest.raises(CannotRead):
        await lab.waits_until(
            starting, process(OLD, "old again", clock).beat(starting.connection), raising.commit
        )


async def test_a_raise_while_a_process_starts_waits_and_counts_it(lab: Lab) -> None:
    """The start has read the levels, and is not committed: the raise comes after it."""
    clock = Clock()
    first, second = await side_by_side(lab, clock)
    await first.leave(lab.sql)
    starting = await held_open(lab)
    await process(OLD, "old again", clock).beat(starting.connection)
    raising = await lab.writer()
    await raising.connection.set_autocommit(True)
    wanted = {one[0]: one[-1] for one in NEW.codec.lineages.ladders}
    raised = await lab.waits_until(
        raising,
        raise_levels(raising.connection, second.codec.lineages, wanted, silent={}, by="tests"),
        starting.commit,
    )
    assert raised == []
    assert await levels(lab) == {}


async def test_a_sign_of_life_between_the_look_and_the_raise_counts(lab: Lab) -> None:
    clock = Clock()
    first, _ = await side_by_side(lab, clock)
    silent = {one.process: one.seen_at for one in (await standing(lab.sql)).processes}
    await first.beat(lab.sql)
    wanted = {one[0]: one[-1] for one in NEW.codec.lineages.ladders}
    assert not await raise_levels(lab.sql, NEW.codec.lineages, wanted, silent=silent, by="tests")


async def test_until_it_knows_the_levels_a_process_writes_the_oldest_forms() -> None:
    announcer = process(NEW, "new", Clock())
    assert announcer.codec.encode(BOOKED).schema == 1


async def stored(lab: Lab, stream: str) -> list[tuple[Any, ...]]:
    return await lab.rows(
        "SELECT version, type, schema FROM events WHERE stream = %s ORDER BY version", stream
    )


async def test_an_append_of_lowered_events_is_one_statement_and_one_round_trip(lab: Lab) -> None:
    codec = codec_of(NEW)
    appends = [("guest-1", ANY_VERSION, [BOOKED, *PARTS])]
    async with open_pool(lab.url, size=1) as pool:
        every: Sequence[dict[str, int] | None] = (None, {})
        for rows in every:
            codec.levels.rows = rows
            store = EventStore(pool, codec)
            for name in ("first", "second"):
                await store.append(appends, context=step(f"{name} {rows}"))
            async with pool.connection() as connection:
                pass
            with traced(connection) as wire:
                await store.append(appends, context=step(f"third {rows}"))
            assert wire.sent == ["Bind", "Describe", "Execute", "Sync"]
            assert wire.round_trips == 1


async def test_versions_count_what_is_stored_and_the_older_release_reads_it(lab: Lab) -> None:
    codec = codec_of(NEW)
    codec.levels.rows = {}
    store = store_over(lab.sql, codec)
    await store.append([("guest-1", 0, [BOOKED, *PARTS])])
    assert await stored(lab, "guest-1") == [(1, "RoomBooked", 1), (2, "GuestMoved", 1)]
    assert await lab.value("SELECT version FROM streams WHERE name = 'guest-1'") == 2

    codec.levels.rows = None
    await store.append([("guest-1", 2, PARTS)])
    assert (await stored(lab, "guest-1"))[2:] == [
        (3, "AddressChanged", 1),
        (4, "PhoneChanged", 1),
    ]
    loaded = (await store.load({"guest-1": 0}))["guest-1"]
    assert loaded.version == 4
    assert loaded.events == [new.RoomBooked(guest="a", amount=7), *PARTS, *PARTS]
    old_store = store_over(lab.sql, OLD.codec)
    first = await lab.rows(
        "SELECT type, schema, data FROM events WHERE version <= 2 ORDER BY version"
    )
    assert [old_store._codec.decode(*row) for row in first] == [
        old.RoomBooked(guest="a", sum=7),
        old.GuestMoved(guest="a", street="s", phone="1"),
    ]


Seen = tuple[Event, ...]
NOTHING: Seen = ()


def decide(command: new.BookRoom, _: Seen) -> Sequence[Event]:
    stay = new.StayMeasured(guest=command.guest, seconds=61)
    return [BOOKED, stay, *PARTS, new.RebateGranted(guest="a", permille=15)]


@pytest.mark.parametrize("rows", [{}, {"GuestMoved": 2}, None])
async def test_what_a_worker_remembers_is_what_is_loaded(
    lab: Lab, rows: dict[str, int] | None
) -> None:
    codec = codec_of(NEW)
    codec.levels.rows = rows
    guests = single_stream(
        "guest", NOTHING, lambda one: one.guest, decide, lambda seen, one: (*seen, one)
    )
    store = store_over(lab.sql, codec)
    handler = CommandHandler(store, guests)
    for name in ("first", "second"):
        await handler.handle(new.BookRoom(guest="a", nights=1), step(name))

    version, remembered = handler._folded["guest-a"]
    loaded = (await store.load({"guest-a": 0}))["guest-a"]
    assert (version, list(remembered)) == (loaded.version, loaded.events)


@pytest.mark.parametrize("named", [{"release": "7"}, {"build_id": "7"}])
async def test_a_running_process_announces_itself_and_leaves(
    lab: Lab, named: dict[str, Any]
) -> None:
    settings = Settings(raise_levels="itself", raise_levels_after_seconds=0, **named)
    stop = asyncio.Event()
    async with open_pool(lab.url, size=2) as pool:
        async with announced(of_pool(pool), codec_of(NEW), settings, "relay", stop):
            [row] = await lab.rows("SELECT kind, reads, release FROM process_versions")
            assert row == ("relay", dict(NEW.codec.lineages.readable), "7")
        assert await lab.rows("SELECT process FROM process_versions") == []


async def test_a_running_process_stops_when_it_cannot_read_what_may_be_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.processes.announced.BEATS_EVERY", 0.01)

    async def run() -> None:
        stop = asyncio.Event()
        async with (
            open_pool(lab.url, size=2) as pool,
            announced(of_pool(pool), codec_of(OLD), Settings(), "relay", stop),
            asyncio.timeout(DEADLINE),
        ):
            await lab.sql.execute(write_levels._RAISE, ("RoomBooked", 2, "tests"))
            await stop.wait()

    with pytest.raises(CannotRead, match="RoomBooked version 2"):
        await run()


async def test_every_login_may_announce_itself_and_raise_levels() -> None:
    roles = DatabaseRoles(consumers=("packing",))
    for role in roles.logins:
        tables = roles.tables_of(role)
        assert tables["event_levels"] == ("SELECT", "INSERT", "UPDATE")
        assert tables["process_versions"] == ("SELECT", "INSERT", "UPDATE", "DELETE")


async def test_the_api_announces_itself_through_its_engine(lab: Lab) -> None:
    stop = asyncio.Event()
    async with (
        open_engine(lab.url, size=1) as engine,
        announced(of_engine(engine), codec_of(NEW), Settings(), "api", stop),
    ):
        assert await lab.rows("SELECT kind FROM process_versions") == [("api",)]
    assert await lab.rows("SELECT kind FROM process_versions") == []


def worker(name: str, **shapes: int) -> Announcer:
    return Announcer(codec_of(NEW), name, "worker", clock=Clock(), shapes=SagaShapes(shapes))


async def test_a_saga_begins_in_the_newest_shape_that_every_live_worker_knows(lab: Lab) -> None:
    old, new = worker("old", Checkout=2), worker("new", Checkout=3, Refund=1)
    before, sagas = worker("of a release without shapes"), SagaShapes({"Checkout": 3, "Refund": 1})
    api = Announcer(codec_of(NEW), "api", "api", clock=Clock(), shapes=sagas)
    for one in (old, new, before, api):
        await one.beat(lab.sql)
    assert (sagas.of("Checkout"), sagas.of("Refund")) == (2, 1)

    await old.leave(lab.sql)
    await api.beat(lab.sql)
    assert sagas.of("Checkout") == 3


async def test_the_shapes_of_a_process_that_runs_no_sagas_bound_nothing(lab: Lab) -> None:
    sagas = SagaShapes({"Checkout": 3})
    api = Announcer(codec_of(NEW), "api", "api", clock=Clock(), shapes=sagas)
    older = SagaShapes({"Checkout": 2})
    await Announcer(codec_of(NEW), "older api", "api", clock=Clock(), shapes=older).beat(lab.sql)

    await api.beat(lab.sql)

    assert sagas.of("Checkout") == 3

"""What reads events reads all their forms: read models, consumers, the lake, payloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Column, MetaData, Table, Text
from temporalio.api.common.v1 import Payload

from handrail.app import App
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection, open_pool
from handrail.evolution.forms import CannotBeLowered
from handrail.kernel import Event
from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.broker.topology import keys_of
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.store_consumer import catch_up
from handrail.messaging.envelope import Received
from handrail.projections.as_of import as_of
from handrail.projections.install import install
from handrail.projections.projection import Happened, Projection
from handrail.projections.projector import Runner
from handrail.temporal.client import MessageConverter, data_converter
from tests.evolution import new_release as new
from tests.evolution import old_release as old
from tests.evolution.new_release import CHANGES, NEW
from tests.evolution.old_release import OLD
from tests.projections.world import ROLE, World, a_world

PARTS = (new.AddressChanged(guest="a", street="s"), new.PhoneChanged(guest="a", phone="1"))


@dataclass(frozen=True, kw_only=True)
class Guest:
    guest: str
    seen: str = ""


def evolve(row: Guest | None, happened: Happened) -> Guest:
    row = row or Guest(guest=happened.id)
    match happened.event:
        case new.AddressChanged(street=street):
            said = f"street {street}"
        case new.KeyGiven(room=room):
            said = f"key {room}"
        case new.HelpAsked(how=how):
            said = f"help {how}"
        case _:
            said = "another"
    return replace(row, seen=f"{row.seen}{said} at {happened.version};")


GUESTS: Final = Projection(
    name="guests",
    version=1,
    row=Guest,
    table=Table(
        "guests", MetaData(), Column("guest", Text, primary_key=True), Column("seen", Text)
    ),
    categories=("guest",),
    handles=(new.AddressChanged, new.KeyGiven, new.HelpAsked),
    evolve=evolve,
)


@dataclass
class Diary:
    """A consumer that writes down what it was given."""

    handled: list[tuple[str, Event]] = field(default_factory=list)

    async def handle(self, _: Connection, received: Received) -> None:
        self.handled.append((received.id, received.event))


def app_of(diary: Diary, *wants: type[Event], broker: BrokerPlan | None = None) -> App:
    consumer = Consumer(
        name="diary", vhost="diary", queue="diary", wants=wants, handle=diary.handle
    )
    return App(
        contexts=[new.INN],
        evolutions=CHANGES,
        projections=[GUESTS],
        consumers=[consumer],
        broker=broker,
    )


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as world:
        yield world


async def history(world: World) -> None:
    """Written by both releases: by the newer one first in old forms, then in its own."""
    await world.append(
        "guest-a",
        old.KeyHandedOver(guest="a", room=1),
        old.GuestMoved(guest="a", street="old", phone="0"),
        old.BellRung(guest="a"),
        codec=OLD.codec,
    )
    low = Codec.of(NEW.codec.classes.values(), CHANGES)
    low.levels.rows = {}
    for codec in (low, NEW.codec):
        await world.append("guest-a", new.KeyGiven(guest="a", room=2), *PARTS, codec=codec)


SEEN = (
    "key 1 at 1;street old at 2;help with the bell at 3;"
    "key 2 at 4;street s at 5;key 2 at 6;street s at 7;"
)


async def test_a_read_model_is_the_same_whatever_form_its_events_were_stored_in(
    world: World,
) -> None:
    app = app_of(Diary())
    [guests, *_] = app.read_models
    await asyncio.to_thread(install, world.url, ROLE, [guests])
    await history(world)
    async with open_pool(world.url, size=2) as pool:
        await Runner(pool, [guests], app.codec).catch_up()
    assert await world.sql("SELECT guest, seen FROM guests") == [("a", SEEN)]
    assert await world.sql("SELECT cause FROM parked_events") == []
    async with world.engine.connect() as connection:
        row = await as_of(connection, guests, "a", datetime.now(UTC), app.codec)
    assert row == Guest(guest="a", seen=SEEN)


async def test_a_consumer_gets_each_part_that_it_wants_under_the_id_of_what_was_stored(
    world: World,
) -> None:
    diary = Diary()
    app = app_of(diary, new.PhoneChanged, new.KeyGiven)
    [consumer] = app.consumers
    assert consumer.types == {"PhoneChanged", "KeyGiven", "GuestMoved", "KeyHandedOver"}
    await history(world)
    async with open_pool(world.url, size=2) as pool:
        await catch_up(pool, consumer, app.codec)
    assert diary.handled == [
        ("guest-a/1", new.KeyGiven(guest="a", room=1)),
        ("guest-a/2", new.PhoneChanged(guest="a", phone="0")),
        ("guest-a/4", new.KeyGiven(guest="a", room=2)),
        ("guest-a/5", PARTS[1]),
        ("guest-a/6", new.KeyGiven(guest="a", room=2)),
        ("guest-a/8", PARTS[1]),
    ]
    assert len(await world.sql("SELECT id FROM inbox")) == 6


def test_a_queue_is_bound_to_earlier_names_too() -> None:
    app = app_of(Diary(), new.KeyGiven, new.PhoneChanged)
    assert keys_of(app.consumers[0], app.routing) == (
        "inn.GuestMoved.*",
        "inn.KeyGiven.*",
        "inn.KeyHandedOver.*",
        "inn.PhoneChanged.*",
    )


async def test_an_app_without_changes_has_its_own_consumers_and_projections() -> None:
    assert App(contexts=[old.INN], projections=()).consumers == ()
    assert app_of(Diary(), new.GuestLeft).consumers[0].earlier == frozenset()


async def test_a_view_of_the_lake_has_an_event_in_all_its_forms(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("deltalake", reason="NOT TESTED: the extra `lake` is not installed")
    from handrail.lake.exporter import Exporter  # noqa: PLC0415  # it needs the extra
    from handrail.lake.plan import Views  # noqa: PLC0415
    from handrail.lake.questions import ask  # noqa: PLC0415
    from handrail.lake.reading import open_lake  # noqa: PLC0415
    from handrail.lake.table import Lake  # noqa: PLC0415

    app = app_of(Diary())
    await history(world)
    async with open_pool(world.url, size=2) as pool:
        lake = await asyncio.to_thread(Lake, tmp_path / "lake", app.tenant)
        assert await Exporter(pool, lake, app.routing).catch_up()
    with open_lake(tmp_path / "lake", Views(app.events, app.codec, {})) as connection:
        keys = ask(connection, "SELECT version, room FROM key_given ORDER BY version").rows
        phones = ask(connection, "SELECT version, phone FROM phone_changed ORDER BY version").rows
        helped = ask(connection, "SELECT version, how FROM help_asked").rows
    assert keys == [(1, 1), (4, 2), (6, 2)]
    assert phones == [(2, "0"), (5, "1"), (8, "1")]
    assert helped == [(3, "with the bell")]


def through(codec: Codec, reader: Codec, *messages: object) -> object:
    payload = MessageConverter(codec).to_payload(messages if len(messages) > 1 else messages[0])
    assert isinstance(payload, Payload)
    return MessageConverter(reader).from_payload(payload)


def test_what_travels_through_temporal_is_lowered_like_what_is_stored() -> None:
    low = Codec.of(NEW.codec.classes.values(), CHANGES)
    low.levels.rows = {}
    command = new.BookRoom(guest="a", nights=1, cot=True)
    assert through(low, OLD.codec, command) == old.BookRoom(guest="a", nights=1)
    assert through(NEW.codec, NEW.codec, command) == command
    moved = old.GuestMoved(guest="a", street="s", phone="1")
    assert through(low, OLD.codec, *PARTS) == (moved,)
    assert through(low, NEW.codec, *PARTS) == PARTS
    assert through(OLD.codec, NEW.codec, old.GuestLeft(guest="a"), moved) == (
        new.GuestLeft(guest="a"),
        *PARTS,
    )


def test_a_part_alone_is_not_a_payload_that_is_refused_for_ever() -> None:
    """As an ApplicationError it would end the saga; as it is, the task is tried again."""
    low = Codec.of(NEW.codec.classes.values(), CHANGES)
    low.levels.rows = {}
    converter = data_converter(low).payload_converter
    values: Sequence[object] = [PARTS[0]]
    with pytest.raises(CannotBeLowered):
        converter.to_payloads(values)

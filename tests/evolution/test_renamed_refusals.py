"""What looks for events by name finds those stored under earlier names, by earlier keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from handrail.app import App, Context
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import open_pool
from handrail.evolution.changes import EventRenamed, NewVersion
from handrail.evolution.fields import FieldRenamed, FieldsConverted
from handrail.kernel import Event, Refusal
from tests.projections.world import World, a_world


@dataclass(frozen=True, kw_only=True)
class StayRefused(Refusal, context="inn"):
    guest: str
    code: str


@dataclass(frozen=True, kw_only=True)
class BookingRefused(Refusal, context="inn"):
    visitor: str
    code: str


@dataclass(frozen=True, kw_only=True)
class NoRoom(Refusal, context="inn"):
    """It never changes."""

    code: str


RENAMED: Final = (
    EventRenamed("BookingRefused", 2, was="StayRefused"),
    NewVersion("BookingRefused", 3, (FieldRenamed("visitor", was="guest"),)),
)
NEW = App(contexts=[Context(name="inn", events=(BookingRefused, NoRoom))], evolutions=RENAMED)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as world:
        yield world


async def test_the_lake_counts_a_refusal_under_the_name_it_has_now(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("deltalake", reason="NOT TESTED: the extra `lake` is not installed")
    from handrail.lake.exporter import Exporter  # noqa: PLC0415  # it needs the extra
    from handrail.lake.plan import Views  # noqa: PLC0415
    from handrail.lake.questions import ask  # noqa: PLC0415
    from handrail.lake.reading import open_lake  # noqa: PLC0415
    from handrail.lake.table import Lake  # noqa: PLC0415

    old = Codec.of([StayRefused])
    await world.append("guest-a", StayRefused(guest="a", code="full"), codec=old)
    now = (BookingRefused(visitor="a", code="late"), NoRoom(code="full"))
    await world.append("guest-a", *now, codec=NEW.codec)
    async with open_pool(world.url, size=2) as pool:
        lake = await asyncio.to_thread(Lake, tmp_path / "lake", NEW.tenant)
        assert await Exporter(pool, lake, NEW.routing).catch_up()
    with open_lake(tmp_path / "lake", Views(NEW.events, NEW.codec, {})) as connection:
        found = ask(connection, "SELECT type, code, reason FROM refusals ORDER BY position").rows
    assert found == [
        ("BookingRefused", "full", "booking refused: full"),
        ("BookingRefused", "late", "booking refused: late"),
        ("NoRoom", "full", "no room: full"),
    ]


def test_a_saga_that_a_refusal_turned_back_under_its_earlier_name_is_counted_for_it() -> None:
    [causes] = NEW.saga_figures.evolve.args  # type: ignore[attr-defined]
    assert {"StayRefused", "BookingRefused", "NoRoom"} <= causes


@dataclass(frozen=True, kw_only=True)
class Billed(Event, context="inn"):
    stay: str


def test_a_field_is_looked_for_under_the_keys_that_it_had() -> None:
    assert NEW.codec.lineages.stored_keys("BookingRefused", "visitor") == {
        ("StayRefused", "guest"),
        ("BookingRefused", "guest"),
        ("BookingRefused", "visitor"),
    }
    changes = [
        NewVersion("Billed", 2, (FieldsConverted(("year", "number"), ("stay",), dict, dict),))
    ]
    assert Codec.of([Billed], changes).lineages.stored_keys("Billed", "stay") == {
        ("Billed", "stay"),
        ("Billed", "year"),
        ("Billed", "number"),
    }

"""The recipes of `docs/upgrading.md`, step by step, for each kind of change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from handrail.cli import levels as command
from handrail.eventstore.codec import Codec
from handrail.eventstore.write_levels import Announcer, CannotRead
from handrail.kernel import Event, Money
from handrail.settings import Settings
from tests.eventstore.interleaving import Lab, store_over
from tests.evolution import new_release as new
from tests.evolution import old_release as old
from tests.evolution.new_release import NEW
from tests.evolution.old_release import OLD

PARTS = (new.AddressChanged(guest="a", street="s"), new.PhoneChanged(guest="a", phone="1"))
KINDS: dict[str, tuple[str, Event, Sequence[Event], Sequence[Event]]] = {
    "field added, field renamed": (
        "RoomBooked",
        old.RoomBooked(guest="a", sum=7),
        [new.RoomBooked(guest="a", amount=7, floor=2)],
        [new.RoomBooked(guest="a", amount=7)],
    ),
    "field converted": (
        "StayMeasured",
        old.StayMeasured(guest="a", minutes=1),
        [new.StayMeasured(guest="a", seconds=61)],
        [new.StayMeasured(guest="a", seconds=60)],
    ),
    "fields for others": (
        "MealServed",
        old.MealServed(guest="a", amount=3, currency="EUR"),
        [new.MealServed(guest="a", price=Money(3, "EUR"))],
        [new.MealServed(guest="a", price=Money(3, "EUR"))],
    ),
    "field removed": (
        "RemarkNoted",
        old.RemarkNoted(guest="a", colour=""),
        [new.RemarkNoted(guest="a")],
        [new.RemarkNoted(guest="a")],
    ),
    "event renamed": (
        "KeyGiven",
        old.KeyHandedOver(guest="a", room=7),
        [new.KeyGiven(guest="a", room=7)],
        [new.KeyGiven(guest="a", room=7)],
    ),
    "event split": ("GuestMoved", old.GuestMoved(guest="a", street="s", phone="1"), PARTS, PARTS),
    "event retired": (
        "DiscountGranted",
        old.DiscountGranted(guest="a", percent=1),
        [new.RebateGranted(guest="a", permille=15)],
        [new.RebateGranted(guest="a", permille=10)],
    ),
}


@pytest.fixture
async def lab(database: str) -> AsyncIterator[Lab]:
    async with Lab(database) as lab:
        yield lab


def process(app: Any, name: str) -> Announcer:
    """As with HANDRAIL_RAISE_LEVELS=command."""
    codec = Codec.of(app.codec.classes.values(), app.evolutions)
    return Announcer(codec, name, "worker", release=name, raises_after=None)


async def newest_of(lab: Lab) -> tuple[str, int, dict[str, Any]]:
    [row] = await lab.rows("SELECT type, schema, data FROM events ORDER BY position DESC LIMIT 1")
    return row


async def shown(lab: Lab, event: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """What `handrail contracts level EVENT --json` answers."""
    settings = Settings(database_url=lab.url)
    code = await command.show(NEW.codec, settings, event, wide=True, json=True)
    [found] = orjson.loads(capsys.readouterr().out.splitlines()[-1])["levels"]
    return code, found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_release_with_a_change_comes_beside_the_one_before_and_takes_its_place(
    kind: str, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    event, for_old, written, again = KINDS[kind]
    version = next(one.version for one in NEW.evolutions if one.event == event)
    settings = Settings(database_url=lab.url)

    # The release before runs; the new one comes beside it, and writes what both can read.
    before, after = process(OLD, "1"), process(NEW, "2")
    await before.beat(lab.sql)
    await after.beat(lab.sql)
    store = store_over(lab.sql, after.codec)
    await store.append([("guest-a", 0, written)])
    assert before.codec.decode(*await newest_of(lab)) == for_old

    # What holds it back is shown, and an operator cannot overrule it.
    code, found = await shown(lab, event, capsys)
    assert (code, found["newest"]) == (1, version)
    assert [one["release"] for one in found["held_back_by"]] == ["1"]

    # Back: the new release goes, and the one before goes on as if nothing had been.
    await after.leave(lab.sql)
    await before.beat(lab.sql)
    await store_over(lab.sql, before.codec).append([("guest-a", 1, [for_old])])
    await after.beat(lab.sql)

    # Forward: the release before goes, and the level is raised, for ever.
    await before.leave(lab.sql)
    assert await command.raise_to(NEW.codec, settings, event, version) == 0
    assert f"{event} v{version} may be written" in capsys.readouterr().out
    await after.beat(lab.sql)
    code, found = await shown(lab, event, capsys)
    assert (code, found["written"]["version"], found["held_back_by"]) == (0, version, [])
    await store.append([("guest-a", 2, written)])
    assert after.codec.decode(*await newest_of(lab)) == written[-1]
    with pytest.raises(CannotRead, match=f"{event} version {version} may be written"):
        await process(OLD, "1 again").beat(lab.sql)

    # Whatever form it was stored in, it is read as the newest.
    loaded = (await store.load({"guest-a": 0}))["guest-a"]
    assert loaded.events == [*again, *again, *written]


async def test_an_operator_cannot_raise_what_a_live_process_cannot_read(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = process(OLD, "1"), process(NEW, "2")
    await before.beat(lab.sql)
    await after.beat(lab.sql)

    async def while_the_other_lives(seconds: float) -> None:
        await before.beat(lab.sql)
        await asyncio.sleep(seconds)

    monkeypatch.setattr("handrail.cli.levels.sleep", while_the_other_lives)
    settings = Settings(database_url=lab.url)
    assert await command.raise_to(NEW.codec, settings, "RoomBooked", 2) == 1
    assert "RoomBooked v2 cannot be read by worker 1 of release 1" in capsys.readouterr().err
    assert await command.raise_to(NEW.codec, settings, "RoomBooked", 7) == 1
    assert "RoomBooked has no version 7 to be raised to: there are" in capsys.readouterr().err
    assert await lab.rows("SELECT event FROM event_levels") == [("*",)]

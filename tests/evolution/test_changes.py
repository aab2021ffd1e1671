"""Changes of messages: what follows from each, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.app import App
from handrail.eventstore.codec import Codec, SeveralMessages, UnknownMessage, Unstorable
from handrail.evolution.changes import Change, EventRenamed, EventRetired, EventSplit, NewVersion
from handrail.evolution.fields import FieldAdded, FieldConverted, FieldRemoved, FieldRenamed
from handrail.evolution.forms import CannotBeLowered, Form
from handrail.kernel import Event, Money
from handrail.messaging.contracts.change_laws import broken_laws
from handrail.testing.changes import changes_go_both_ways
from handrail.wrongly_declared import WronglyDeclared
from tests.eventstore.anything import anything
from tests.evolution import new_release as new
from tests.evolution import old_release as old
from tests.evolution.new_release import CHANGES, NEW
from tests.evolution.old_release import OLD

LAST = {(name, version): version for name, version in NEW.codec.lineages.readable.items()}


def lowering() -> Codec:
    """The newer release's codec while nothing but the first forms may be written."""
    codec = Codec.of(NEW.codec.classes.values(), CHANGES)
    codec.levels.rows = {}
    return codec


def read(codec: Codec, encoded: Any) -> Sequence[Any]:
    return codec.decode_all(encoded.type, encoded.schema, json.loads(encoded.data))


WRITTEN = {
    "a field renamed, another added": (
        new.RoomBooked(guest="a", amount=7, floor=2),
        old.RoomBooked(guest="a", sum=7),
        new.RoomBooked(guest="a", amount=7, floor=0),
    ),
    "a field converted": (
        new.StayMeasured(guest="a", seconds=61),
        old.StayMeasured(guest="a", minutes=1),
        new.StayMeasured(guest="a", seconds=60),
    ),
    "fields for others": (
        new.MealServed(guest="a", price=Money(3, "EUR")),
        old.MealServed(guest="a", amount=3, currency="EUR"),
        new.MealServed(guest="a", price=Money(3, "EUR")),
    ),
    "a field removed": (
        new.RemarkNoted(guest="a"),
        old.RemarkNoted(guest="a", colour=""),
        new.RemarkNoted(guest="a"),
    ),
    "an event renamed": (
        new.KeyGiven(guest="a", room=7),
        old.KeyHandedOver(guest="a", room=7),
        new.KeyGiven(guest="a", room=7),
    ),
    "an event retired for a new one": (
        new.RebateGranted(guest="a", permille=15),
        old.DiscountGranted(guest="a", percent=1),
        new.RebateGranted(guest="a", permille=10),
    ),
    "an event that takes the place of a retired one, and was there": (
        new.HelpAsked(guest="a", how="loudly"),
        old.HelpAsked(guest="a", how="loudly"),
        new.HelpAsked(guest="a", how="loudly"),
    ),
    "a command": (
        new.BookRoom(guest="a", nights=2, cot=True),
        old.BookRoom(guest="a", nights=2),
        new.BookRoom(guest="a", nights=2, cot=False),
    ),
    "an event without a change": (
        new.GuestLeft(guest="a"),
        old.GuestLeft(guest="a"),
        new.GuestLeft(guest="a"),
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_while_the_level_is_low_the_older_release_reads_what_the_newer_writes(kind: str) -> None:
    message, for_old, again = WRITTEN[kind]
    encoded = lowering().encode(message)
    assert read(OLD.codec, encoded) == (for_old,)
    assert read(NEW.codec, encoded) == (again,)


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_newer_release_reads_what_the_older_writes(kind: str) -> None:
    _, for_old, again = WRITTEN[kind]
    assert read(NEW.codec, OLD.codec.encode(for_old)) == (again,)


def test_with_the_levels_raised_the_newest_forms_are_written() -> None:
    written = [
        (one.type, one.schema) for one in map(NEW.codec.encode, (w for w, *_ in WRITTEN.values()))
    ]
    assert written == [
        ("RoomBooked", 2),
        ("StayMeasured", 2),
        ("MealServed", 2),
        ("RemarkNoted", 2),
        ("KeyGiven", 2),
        ("RebateGranted", 1),
        ("HelpAsked", 1),
        ("BookRoom", 2),
        ("GuestLeft", 1),
    ]


def test_a_retired_event_is_read_as_the_one_that_was_there_beside_it() -> None:
    encoded = OLD.codec.encode(old.BellRung(guest="a"))
    assert read(NEW.codec, encoded) == (new.HelpAsked(guest="a", how="with the bell"),)


MOVED = old.GuestMoved(guest="a", street="s", phone="1")
PARTS = (new.AddressChanged(guest="a", street="s"), new.PhoneChanged(guest="a", phone="1"))


def test_an_event_that_was_split_is_read_as_its_parts_in_their_order() -> None:
    encoded = OLD.codec.encode(MOVED)
    assert read(NEW.codec, encoded) == PARTS
    with pytest.raises(SeveralMessages, match="GuestMoved v1 is 2 events"):
        NEW.codec.decode("GuestMoved", 1, json.loads(encoded.data))


def test_parts_are_one_event_while_the_level_is_low_also_between_others() -> None:
    codec = lowering()
    left = new.GuestLeft(guest="a")
    encoded = codec.encode_all([left, *PARTS, *PARTS, left])
    assert [one.type for one in encoded] == ["GuestLeft", "GuestMoved", "GuestMoved", "GuestLeft"]
    assert [part for one in encoded for part in read(NEW.codec, one)] == [
        left,
        *PARTS,
        *PARTS,
        left,
    ]
    assert [one.type for one in NEW.codec.encode_all(PARTS)] == ["AddressChanged", "PhoneChanged"]


@pytest.mark.parametrize(
    "parts", [PARTS[:1], PARTS[1:], PARTS[::-1], (PARTS[0], new.GuestLeft(guest="a"), PARTS[1])]
)
def test_a_part_alone_waits_until_it_may_be_written(parts: Sequence[Event]) -> None:
    with pytest.raises(CannotBeLowered, match="or wait until GuestMoved v2 may be written"):
        lowering().encode_all(parts)


def test_parts_that_do_not_belong_together_are_not_made_one() -> None:
    with pytest.raises(CannotBeLowered, match="do not make one GuestMoved v1"):
        lowering().encode_all([PARTS[0], new.PhoneChanged(guest="b", phone="1")])


def test_a_level_allows_each_message_its_own_form() -> None:
    codec = lowering()
    codec.levels.rows = {"KeyGiven": 2, "GuestMoved": 2}
    assert codec.encode(new.KeyGiven(guest="a", room=7)).type == "KeyGiven"
    assert codec.encode(PARTS[0]).type == "AddressChanged"
    assert codec.encode(new.RoomBooked(guest="a", amount=7)).schema == 1


def test_a_newer_form_is_unknown_to_the_older_release() -> None:
    for message in (new.RoomBooked(guest="a", amount=7), new.KeyGiven(guest="a", room=1)):
        with pytest.raises(UnknownMessage):
            read(OLD.codec, NEW.codec.encode(message))


def test_all_forms_of_an_event_are_known_with_their_earlier_names() -> None:
    forms = {
        one.__name__: [str(form) for form in NEW.codec.forms(one.__name__)] for one in NEW.events
    }
    assert forms["KeyGiven"] == ["KeyHandedOver v1", "KeyGiven v2"]
    assert forms["PhoneChanged"] == ["GuestMoved v1", "PhoneChanged v1"]
    assert forms["HelpAsked"] == ["BellRung v1", "HelpAsked v1"]
    assert forms["GuestLeft"] == ["GuestLeft v1"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Third(Event, context="inn"):
    c: str
    d: int = 0


CHAIN: tuple[Change, ...] = (
    NewVersion("First", 2, (FieldRenamed("b", was="a"),)),
    EventRenamed("Second", 3, was="First"),
    NewVersion("Second", 4, (FieldConverted("b", up=str, down=int),)),
    EventRetired(
        "Second",
        5,
        by=Form("Third"),
        up=lambda one: {"c": one["b"]},
        down=lambda one: {"b": one["c"]},
    ),
    NewVersion("Third", 2, (FieldAdded("d", default=0),), loses=("d",)),
)


@pytest.mark.parametrize(
    ("rows", "form", "data"),
    [
        ({}, "First v1", {"a": 5}),
        ({"First": 2}, "First v2", {"b": 5}),
        ({"First": 2, "Second": 3}, "Second v3", {"b": 5}),
        ({"Second": 4}, "Second v4", {"b": "5"}),
        ({"Second": 5}, "Third v1", {"c": "5"}),
        ({"Second": 5, "Third": 2}, "Third v2", {"c": "5", "d": 7}),
    ],
)
def test_a_message_goes_down_through_several_changes_and_names(
    rows: dict[str, int], form: str, data: dict[str, Any]
) -> None:
    codec = Codec.of([Third], CHAIN)
    codec.levels.rows = rows
    encoded = codec.encode(Third(c="5", d=7))
    assert (str(Form(encoded.type, encoded.schema)), json.loads(encoded.data)) == (form, data)
    assert read(codec, encoded) == (Third(c="5", d=data.get("d", 0)),)
    assert codec.lower(Form("Third", 2), {"c": "5", "d": 7}, Form("Second", 4)) == {"b": "5"}


EVENT = st.sampled_from(sorted(OLD.codec.classes.keys() & {one.__name__ for one in OLD.events}))


@given(st.data())
def test_any_old_event_is_lifted_and_lowered_to_what_it_was(data: st.DataObject) -> None:
    """But for what was removed, and what a retired event says less."""
    name = data.draw(EVENT)
    if name in {"RemarkNoted", "BellRung"} or name not in {c.old.name for c in CHANGES}:
        return
    message = data.draw(anything(OLD.codec.classes[name]))
    encoded = OLD.codec.encode(message)
    codec = lowering()
    try:
        [again] = codec.encode_all(read(codec, encoded))
    except Unstorable:  # ten times as much takes more than 64 bits
        return
    assert read(OLD.codec, again) == (message,)


def test_the_laws_hold_for_every_change(pytestconfig: pytest.Config) -> None:
    changes_go_both_ways(NEW, cases=1_000)


def wrong(*changes: Change, without: Sequence[type[Event]] = ()) -> str:
    context = dataclasses.replace(
        new.INN, events=tuple(one for one in new.INN.events if one not in without)
    )
    with pytest.raises(WronglyDeclared) as refused:
        App(contexts=[context], evolutions=changes)
    return str(refused.value)


ADDED = NewVersion("RoomBooked", 2, (FieldAdded("floor", default=0),), loses=("floor",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            [dataclasses.replace(ADDED, version=3)],
            "RoomBooked v3 follows RoomBooked v2, which does not exist",
        ),
        ([ADDED, ADDED], "RoomBooked v2 is made twice: make one of them version 3"),
        ([dataclasses.replace(ADDED, version=1)], "RoomBooked v1 is the first version"),
        ([dataclasses.replace(ADDED, loses=())], "say loses=('floor',)"),
        (
            [dataclasses.replace(ADDED, loses=("floor", "flor"))],
            "loses flor, which it does not have",
        ),
        ([dataclasses.replace(ADDED, fields=())], "RoomBooked v2 changes nothing"),
        ([NewVersion("RoomBooked", 2, (FieldRenamed("total", was="sum"),))], "has no field total"),
        (
            [NewVersion("RoomBooked", 2, (FieldRemoved("floor", lowered_as=0),))],
            "still has the field floor",
        ),
        ([NewVersion("RoomBoked", 2, ADDED.fields, ("floor",))], "RoomBoked, which no context has"),
        ([EventRenamed("KeyGiven", 2, was="RoomBooked")], "is still a class: remove the class"),
        (
            [EventRenamed("KeyGiven", 2, was="A"), EventRenamed("KeyGiven", 2, was="B")],
            "is made twice",
        ),
        (
            [EventRenamed("KeyGiven", 2, was="A"), EventRenamed("GuestLeft", 2, was="A")],
            "A v1 becomes two things",
        ),
        ([EventRenamed("BookRoom", 2, was="Book")], "BookRoom is a command"),
        ([EventSplit("A", 2, into=(), up=dict)], "A is split, but not into several events"),
        (
            [EventSplit("A", 2, into=(Form("A"), Form("GuestLeft")), up=dict)],
            "A is a part of itself",
        ),
        (
            [EventSplit("A", 2, into=(Form("KeyGiven"), Form("GuestLeft", 3)), up=dict)],
            "GuestLeft v3, which does not exist",
        ),
        ([EventRetired("A", 2, by=Form("B"))], "B, which no context has"),
        (
            [EventRetired("A", 2, by=Form("B")), EventRetired("B", 2, by=Form("A"))],
            "A v1 becomes itself again",
        ),
    ],
)
def test_a_mistake_in_a_change_is_refused_with_its_remedy(
    changes: Sequence[Change], said: str
) -> None:
    assert said in wrong(*changes)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: str(one.marker))
def test_a_way_down_that_loses_more_than_it_says_is_named(change: Change) -> None:
    if not change.loses:
        return
    silent = dataclasses.replace(change, loses=())
    others = [silent if one is change else one for one in CHANGES]
    [said] = broken_laws(Codec.of(NEW.codec.classes.values(), others), cases=300)
    assert str(change.marker) in said
    assert "name the field in `loses`" in said


LOSSY: dict[str, tuple[Callable[[Any], Any], str]] = {
    "of spaces": (str.strip, "guest"),
    "of length": (lambda text: text[:200], "guest"),
    "of lines": (lambda text: text.replace("\n", " "), "guest"),
    "of forms of letters": (partial(normalize, "NFC"), "guest"),
    "of large numbers": (lambda number: int(float(number)), "room"),
}


@pytest.mark.parametrize("what", LOSSY)
def test_a_loss_that_no_change_declares_is_named(what: str) -> None:
    bent, field = LOSSY[what]
    change = NewVersion("KeyGiven", 2, (FieldConverted(field, up=lambda one: one, down=bent),))
    [said] = broken_laws(Codec.of([new.KeyGiven], [change]), cases=100)
    assert "KeyGiven v2" in said
    assert "name the field in `loses`" in said

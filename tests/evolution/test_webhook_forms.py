"""An endpoint of a tenant gets events in the form that it asked for, while they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from handrail.app import App, Context
from handrail.evolution.changes import EventSplit, NewVersion
from handrail.evolution.fields import FieldChange, FieldRemoved, FieldRenamed, FieldsConverted
from handrail.evolution.forms import CannotBeLowered, Form
from handrail.kernel import Event
from handrail.personal import Personal
from handrail.webhook_endpoints.message import WITHHELD
from handrail.webhook_endpoints.offered import OfferedEvents
from tests.evolution import new_release as new
from tests.evolution.new_release import CHANGES, NEW

MOVED = {"guest": "a", "street": "s", "phone": "1"}
STREET, PHONE = {"guest": "a", "street": "s"}, {"guest": "a", "phone": "1"}
OFFERED = OfferedEvents(NEW.events, NEW.codec, NEW.routing)


@pytest.mark.parametrize(
    ("stored", "data", "keys"),
    [
        ("GuestMoved", MOVED, {"GuestMoved.v1", "AddressChanged.v1", "PhoneChanged.v1"}),
        ("AddressChanged", STREET, {"AddressChanged.v1"}),
        ("HelpAsked", {"guest": "a", "how": "h"}, {"HelpAsked.v1"}),
        ("BellRung", {"guest": "a"}, {"BellRung.v1", "HelpAsked.v1"}),
        ("KeyHandedOver", {"guest": "a", "room": 1}, {"KeyHandedOver.v1", "KeyGiven.v2"}),
    ],
)
def test_an_event_is_sent_in_the_forms_that_there_is_a_way_to(
    stored: str, data: dict[str, Any], keys: set[str]
) -> None:
    assert set(OFFERED.keys_of(stored, 1, data)) == {f"inn.{key}" for key in keys}


def test_what_is_still_stored_as_one_event_reaches_those_who_asked_for_it() -> None:
    assert OFFERED.in_form("inn.GuestMoved.v1", "GuestMoved", 1, MOVED) == MOVED


@pytest.mark.parametrize(
    ("key", "part"), [("inn.AddressChanged.v1", STREET), ("inn.PhoneChanged.v1", PHONE)]
)
def test_what_is_still_stored_as_one_event_is_taken_apart_for_those_who_asked_for_a_part(
    key: str, part: dict[str, Any]
) -> None:
    assert OFFERED.in_form(key, "GuestMoved", 1, MOVED) == part


def test_a_part_alone_is_not_sent_as_what_was_split() -> None:
    with pytest.raises(CannotBeLowered, match="no way from AddressChanged v1 to GuestMoved v1"):
        OFFERED.in_form("inn.GuestMoved.v1", "AddressChanged", 1, STREET)


def test_a_part_that_an_event_does_not_have_is_not_sent() -> None:
    def up(moved: dict[str, Any]) -> dict[str, Any]:
        street = {"guest": moved["guest"], "street": moved["street"]}
        return {"AddressChanged": street}

    into = (Form("AddressChanged"), Form("PhoneChanged"))
    others = [one for one in CHANGES if one is not new.MOVED]
    app = App(contexts=[new.INN], evolutions=[*others, EventSplit("GuestMoved", 2, into, up)])
    offered = OfferedEvents(app.events, app.codec, app.routing)
    assert set(offered.keys_of("GuestMoved", 1, MOVED)) == {
        "inn.GuestMoved.v1",
        "inn.AddressChanged.v1",
    }


@dataclass(frozen=True, kw_only=True)
class GuestNamed(Event, context="inn"):
    guest: str
    full_name: Annotated[str, Personal(subject="guest")]


def test_a_personal_field_is_withheld_under_its_earlier_names() -> None:
    change = NewVersion("GuestNamed", 2, (FieldRenamed("full_name", was="name"),))
    inn = Context(name="inn", events=(GuestNamed,))
    app = App(contexts=[inn], evolutions=[change], tenant_events=[GuestNamed])
    assert app.offered_events.personal == {"full_name", "name"}


GRACE = "Grace Hopper"
STORED = {"guest": "g-1", "full_name": GRACE, "remark": f"{GRACE} is late", "beds": 2}


def _renamed(to: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda given: dict.fromkeys([to], *given.values())


def _named(*versions: tuple[FieldChange, ...]) -> OfferedEvents:
    changes = [NewVersion("GuestNamed", 2 + n, fields) for n, fields in enumerate(versions)]
    inn = Context(name="inn", events=(GuestNamed,))
    return App(contexts=[inn], evolutions=changes, tenant_events=[GuestNamed]).offered_events


@pytest.mark.parametrize(
    "versions",
    [
        ((FieldRemoved("remark", lowered_as="-"),),),
        ((FieldRenamed("note", was="remark"),), (FieldRemoved("note", lowered_as="-"),)),
        ((FieldRenamed("note", was="remark"), FieldRemoved("note", lowered_as="-")),),
        (
            (FieldsConverted(("remark",), ("note",), _renamed("note"), _renamed("remark")),),
            (FieldRemoved("note", lowered_as="-"),),
        ),
    ],
)
def test_a_text_of_a_field_that_was_removed_is_not_sent_in_its_older_form(
    versions: Sequence[tuple[FieldChange, ...]],
) -> None:
    """Nothing says any more whether it is about a person."""
    shown = _named(*versions).shown("inn.GuestNamed.v1", "GuestNamed", 1, STORED)
    assert shown == {"guest": "g-1", "full_name": WITHHELD, "remark": "-", "beds": 2}


def test_a_number_of_a_field_that_was_removed_is_sent_as_it_was_stored() -> None:
    offered = _named((FieldRemoved("beds", lowered_as=0),))
    assert offered.shown("inn.GuestNamed.v1", "GuestNamed", 1, STORED)["beds"] == 2


def test_a_removed_field_that_was_declared_not_to_be_personal_is_sent_as_it_was_stored() -> None:
    offered = _named((FieldRemoved("remark", lowered_as="-", personal=False),))
    assert offered.shown("inn.GuestNamed.v1", "GuestNamed", 1, STORED)["remark"] == STORED["remark"]


@dataclass(frozen=True, kw_only=True)
class GuestEntered(Event, context="inn"):
    guest: str
    known_as: Annotated[str, Personal(subject="guest")]


@dataclass(frozen=True, kw_only=True)
class LuggageBrought(Event, context="inn"):
    guest: str
    pieces: int


def _split(old: dict[str, Any]) -> dict[str, Any]:
    guest = {"guest": old["guest"]}
    entered = {**guest, "known_as": old["who"]["name"]}
    return {"GuestEntered": entered, "LuggageBrought": {**guest, "pieces": old["pieces"]}}


def test_a_text_that_is_personal_since_its_event_was_split_is_not_sent_as_part_of_the_whole() -> (
    None
):
    into = (Form("GuestEntered"), Form("LuggageBrought"))
    inn = Context(name="inn", events=(GuestEntered, LuggageBrought))
    app = App(
        contexts=[inn],
        evolutions=[EventSplit("GuestCame", 2, into, _split)],
        tenant_events=[GuestEntered, LuggageBrought],
    )
    stored = {"guest": "g-1", "who": {"name": GRACE}, "pieces": 2}
    shown = app.offered_events.shown("inn.GuestCame.v1", "GuestCame", 1, stored)
    assert shown == {"guest": "g-1", "who": {"name": WITHHELD}, "pieces": 2}

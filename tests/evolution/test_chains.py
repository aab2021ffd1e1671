"""Changes of what a change has made: an event that was split into one that was split again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

from handrail.app import App, Context
from handrail.evolution.changes import Change, EventRetired, EventSplit
from handrail.evolution.forms import Form
from handrail.kernel import Event
from handrail.messaging.contracts.change_laws import broken_laws


@dataclass(frozen=True, kw_only=True)
class Swept(Event, context="inn"):
    room: int


@dataclass(frozen=True, kw_only=True)
class Dusted(Event, context="inn"):
    shelf: int


@dataclass(frozen=True, kw_only=True)
class Aired(Event, context="inn"):
    minutes: int


CLEANED = EventRetired("Cleaned", 2, by=Form("Tidied"), up=dict, down=dict)
TIDIED = EventSplit(
    "Tidied",
    2,
    into=(Form("Wiped"), Form("Aired")),
    up=lambda old: {
        "Wiped": {"room": old["room"], "shelf": old["shelf"]},
        "Aired": {"minutes": old["minutes"]},
    },
    down=lambda parts: {**parts["Wiped"], **parts["Aired"]},
)
WIPED = EventSplit(
    "Wiped",
    2,
    into=(Form("Swept"), Form("Dusted")),
    up=lambda old: {"Swept": {"room": old["room"]}, "Dusted": {"shelf": old["shelf"]}},
    down=lambda parts: {**parts["Swept"], **parts["Dusted"]},
)
EVENTS = (Swept(room=1), Dusted(shelf=2), Aired(minutes=3))


def app_of(changes: Sequence[Change]) -> App:
    inn = Context(name="inn", events=(Swept, Dusted, Aired))
    return App(contexts=[inn], evolutions=changes)


@pytest.mark.parametrize("order", list(permutations((CLEANED, TIDIED, WIPED))))
@pytest.mark.parametrize(
    ("levels", "written"),
    [
        ({}, ["Cleaned"]),
        ({"Cleaned": 2}, ["Tidied"]),
        ({"Cleaned": 2, "Tidied": 2}, ["Wiped", "Aired"]),
        ({"Cleaned": 2, "Tidied": 2, "Wiped": 2}, ["Swept", "Dusted", "Aired"]),
    ],
)
def test_parts_of_parts_are_put_together_in_whatever_order_the_changes_are_declared(
    levels: dict[str, int], written: list[str], order: Sequence[Change]
) -> None:
    codec = app_of(order).codec
    codec.levels.rows = levels
    encoded = codec.encode_all(EVENTS)
    assert [one.type for one in encoded] == written
    again = [
        event
        for one in encoded
        for event in codec.decode_all(one.type, one.schema, json.loads(one.data))
    ]
    assert tuple(again) == EVENTS


def test_a_change_to_what_was_split_again_is_tried_too() -> None:
    def bent(parts: Any) -> Any:
        return {**parts["Wiped"], "minutes": 4711}

    wrong = dataclasses.replace(TIDIED, down=bent)
    [said] = broken_laws(app_of([wrong, WIPED]).codec, cases=30)
    assert "Tidied v2" in said


def test_a_way_down_that_raises_is_named_once_by_its_own_change() -> None:
    def raising(_: Any) -> Any:
        raise ValueError("no way")

    wrong = dataclasses.replace(WIPED, down=raising)
    [said] = broken_laws(app_of([TIDIED, wrong]).codec, cases=30)
    assert said.startswith("Wiped v2")

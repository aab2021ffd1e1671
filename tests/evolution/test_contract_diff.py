"""`handrail contracts diff` long after a change: older forms and the ways between forms stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from handrail.cli import contracts
from handrail.messaging.contracts.committed import FOLDER
from handrail.messaging.contracts.diff import EventDiff, differences
from handrail.messaging.contracts.revisions import revision
from handrail.messaging.contracts.schema_changes import changes
from tests.evolution.new_release import NEW
from tests.evolution.old_release import OLD

Compared = Callable[[], dict[str, EventDiff]]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """What release N + 1 committed."""
    folder = tmp_path / "release"
    assert contracts.write(folder, OLD) == contracts.write(folder, NEW) == 0
    return folder


@pytest.fixture
def later(release: Path) -> Path:
    """The release after it, as it is before anything changes."""
    return copytree(release, release.with_name("later"))


@pytest.fixture
def compared(release: Path, later: Path) -> Compared:
    def compare() -> dict[str, EventDiff]:
        found = differences(revision(str(release), FOLDER), revision(str(later), FOLDER))
        return {one.event: one for one in found}

    return compare


def said(one: EventDiff) -> tuple[str, list[str]]:
    return str(one.verdict), [change.said for change in one.changes]


def test_a_form_of_an_earlier_name_that_is_gone_is_seen(later: Path, compared: Compared) -> None:
    (later / "events/inn/GuestMoved.v1.json").unlink()
    (later / "events/inn/KeyHandedOver.v1.json").unlink()
    found = {event: said(one) for event, one in compared().items()}
    moved = ("forward", ["GuestMoved.v1.json is gone, and events of it are stored"])
    key = ("forward", ["KeyHandedOver.v1.json is gone, and events of it are stored"])
    assert found == {"AddressChanged": moved, "PhoneChanged": moved, "KeyGiven": key}


def test_a_form_of_an_earlier_name_that_is_bent_is_seen(later: Path, compared: Compared) -> None:
    file = later / "events/inn/KeyHandedOver.v1.json"
    schema = json.loads(file.read_text())
    schema["properties"]["room"] = {"type": "string"}
    file.write_text(json.dumps(schema))
    assert said(compared()["KeyGiven"]) == (
        "none",
        ["in KeyHandedOver.v1 room was integer and is now string"],
    )


def test_a_way_up_that_is_taken_out_is_seen(later: Path, compared: Compared) -> None:
    of_readers(later, "PhoneChanged", lambda older: older.clear())
    assert said(compared()["PhoneChanged"]) == (
        "forward",
        ["nothing lifts GuestMoved.v1 any more, and events of it are stored"],
    )


def test_a_way_down_that_is_taken_out_is_seen(later: Path, compared: Compared) -> None:
    of_readers(later, "KeyGiven", lambda older: older["KeyHandedOver.v1"].update(lowers=False))
    assert said(compared()["KeyGiven"]) == (
        "backward",
        ["is not lowered to KeyHandedOver.v1 any more"],
    )


def of_readers(folder: Path, event: str, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    file = folder / "readers.json"
    content = json.loads(file.read_text())
    change(content["events"][event]["older"])
    file.write_text(json.dumps(content))


NUMBER, TEXT = {"type": "integer"}, {"type": "string"}
FIELDS = {"type": "object", "properties": {"a": NUMBER}, "required": ["a"]}
MAP = {"type": "object", "additionalProperties": NUMBER}


@pytest.mark.parametrize(("old", "new"), [(FIELDS, MAP), (MAP, FIELDS)])
def test_fields_in_the_place_of_a_map_are_open_no_way(old: object, new: object) -> None:
    [one] = changes(old, new)  # type: ignore[arg-type]
    assert not one.backward
    assert not one.forward


@pytest.mark.parametrize("word", ["prefixItems", "allOf", "oneOf"])
def test_a_definition_that_changed_is_seen_wherever_it_is_referred_to(word: str) -> None:
    schema = {word: [{"$ref": "#/$defs/A"}]}
    assert len(changes({**schema, "$defs": {"A": NUMBER}}, {**schema, "$defs": {"A": TEXT}})) == 1
    assert changes({**schema, "$defs": {"A": NUMBER}}, {**schema, "$defs": {"A": NUMBER}}) == []

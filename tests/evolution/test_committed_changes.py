"""Changes and the committed contracts: what is taken out, or bent, is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any, cast

import pytest

from handrail.app import App
from handrail.evolution.changes import Change, EventRetired, EventSplit, NewVersion
from handrail.evolution.fields import FieldConverted, FieldsConverted
from handrail.messaging.contracts.committed import Contracts
from handrail.wrongly_declared import WronglyDeclared
from tests.evolution import new_release as new
from tests.evolution.new_release import CHANGES, NEW
from tests.evolution.old_release import OLD


def contracts(folder: Path, app: App) -> Contracts:
    return Contracts(folder, app.events, app.described, app.routing, app.consumers)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the release before wrote, and this one beside it."""
    folder = tmp_path_factory.mktemp("contracts")
    assert contracts(folder, OLD).write() == []
    assert contracts(folder, NEW).write() == []
    assert contracts(folder, NEW).differences() == []
    return folder


@pytest.fixture
def committed(written: Path, tmp_path: Path) -> Path:
    """A copy of that, to be changed."""
    return copytree(written, tmp_path / "contracts")


def test_a_line_and_a_pair_of_examples_are_written_for_each_change_of_an_event(
    committed: Path,
) -> None:
    page = (committed / "changes.md").read_text()
    assert "`sum` is called `amount`; `floor` is new; in older events it is `0` | `floor` |" in page
    assert "| `GuestMoved v1` | `AddressChanged v1`, `PhoneChanged v1` |" in page
    written = {file.name for file in (committed / "changes").iterdir()}
    assert written == {
        f"{one.marker.name}.v{one.marker.version}.json"
        for one in CHANGES
        if one.event != "BookRoom"
    }
    facts = json.loads((committed / "changes/GuestMoved.v2.json").read_text())
    assert [one["type"] for one in facts["old"]["lifted"]] == ["AddressChanged", "PhoneChanged"]
    assert facts["new"]["lowered"] == {"guest": "guest-1", "street": "street-1", "phone": "phone-1"}


def test_older_forms_are_deprecated_in_the_asyncapi_document(committed: Path) -> None:
    components = json.loads((committed / "asyncapi.json").read_text())["components"]
    older = components["schemas"]["RoomBooked.v1"]
    assert older["deprecated"] is True
    assert set(older["properties"]) == {"guest", "sum"}
    assert components["schemas"]["KeyHandedOver.v1"]["deprecated"] is True
    message = components["messages"]["GuestMoved.v1"]
    assert message["summary"] == "Deprecated: becomes AddressChanged.v1, PhoneChanged.v1."
    assert message["title"] == "inn.GuestMoved.v1"
    assert "deprecated" not in components["schemas"]["RoomBooked"]


def bent(*_: Any) -> Any:
    return {"guest": "another"}


def bent_value(_: Any) -> int:
    return 4711


def without_a_part(change: Change) -> Iterator[tuple[str, Change]]:
    """The change with each of its ways, up and down, taken out or bent, and each field."""
    if isinstance(change, EventSplit | EventRetired):
        yield "up", dataclasses.replace(change, up=bent)
        if change.down is not None:
            yield "down", dataclasses.replace(change, down=None)
            yield "bent down", dataclasses.replace(change, down=bent)
    if not isinstance(change, NewVersion):
        return
    for place, one in enumerate(change.fields):
        others = change.fields[:place], change.fields[place + 1 :]
        yield f"field {place}", dataclasses.replace(change, fields=(*others[0], *others[1]))
        wrong = {FieldConverted: bent_value, FieldsConverted: bent}.get(type(one))
        if wrong is not None:
            for way in ("up", "down"):
                other: Any = dataclasses.replace(cast("Any", one), **{way: wrong})
                fields = (*others[0], other, *others[1])
                yield f"{way} of field {place}", dataclasses.replace(change, fields=fields)


OF_EVENTS = [one for one in CHANGES if one.event != "BookRoom"]
TAKEN_OUT = {
    f"{change.marker} {what}": (change, other)
    for change in OF_EVENTS
    for what, other in [("whole", None), *without_a_part(change)]
}


def named(folder: Path, changes: Sequence[Change]) -> str:
    try:
        app = App(contexts=[new.INN], evolutions=changes)
    except WronglyDeclared as refused:
        return str(refused)
    return "\n".join(str(one) for one in contracts(folder, app).differences() if one.breaking)


@pytest.mark.quick(6)
@pytest.mark.parametrize("what", TAKEN_OUT)
def test_whichever_way_is_taken_out_the_check_names_it(what: str, committed: Path) -> None:
    change, other = TAKEN_OUT[what]
    changes = [other if one is change else one for one in CHANGES]
    said = named(committed, [one for one in changes if one is not None])
    assert any(name in said for name in {change.event, change.old.name})


def test_there_are_as_many_ways_as_there_should_be() -> None:
    assert len(TAKEN_OUT) == 25


@pytest.mark.quick(3)
@pytest.mark.parametrize("change", OF_EVENTS, ids=lambda one: str(one.old))
def test_a_change_whose_older_form_has_no_file_is_named(change: Change, committed: Path) -> None:
    name = f"{change.old.name}.v{change.old.version}.json"
    (committed / "events/inn" / name).unlink()
    [broken] = contracts(committed, NEW).write()
    assert name in str(broken)
    assert "take it from the release that wrote it" in str(broken)


def test_what_was_written_of_a_change_is_never_written_over(committed: Path) -> None:
    files = {file: file.read_bytes() for file in (committed / "changes").iterdir()}
    changes = [
        dataclasses.replace(one, up=bent) if isinstance(one, EventSplit) else one for one in CHANGES
    ]
    [broken] = contracts(committed, App(contexts=[new.INN], evolutions=changes)).write()
    assert "mend the way up of GuestMoved v2" in str(broken)
    assert {file: file.read_bytes() for file in files} == files


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_change_that_raises_on_the_example_is_refused_in_a_sentence(
    way: str, tmp_path: Path
) -> None:
    assert contracts(tmp_path, OLD).write() == []
    ways: Any = {way: raising}
    changes = [
        dataclasses.replace(one, **ways) if isinstance(one, EventSplit) else one for one in CHANGES
    ]
    broken = contracts(tmp_path, App(contexts=[new.INN], evolutions=changes)).write()
    assert any("GuestMoved v2 raises" in str(one) for one in broken)
    assert not (tmp_path / "changes").exists()


def raising(*_: Any) -> Any:
    raise KeyError("phone")


def test_a_way_up_that_cannot_do_without_a_field_with_a_default_is_named(committed: Path) -> None:
    """Such a field may have been added within the version: what was stored before is without it."""
    file = committed / "events/inn/GuestMoved.v1.json"
    schema = json.loads(file.read_text())
    schema["required"].remove("phone")
    file.write_text(json.dumps(schema))
    [said] = [str(one) for one in contracts(committed, NEW).differences() if one.breaking]
    assert "phone may be missing in stored events, and GuestMoved v2 raises KeyError" in said

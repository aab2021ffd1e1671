"""`handrail contracts diff`: the verdict for each kind of change, and what reads the event."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest

from handrail.cli import contract_diff, contracts
from handrail.messaging.contracts.diff import EventDiff, Verdict, differences, less_than
from handrail.messaging.contracts.revisions import NoContracts, revision
from handrail.messaging.contracts.schema_changes import changes
from tests.evolution.new_release import NEW
from tests.evolution.old_release import OLD
from tests.messaging.contract_changes import after, before

FOLDER = Path("docs/contracts")
Readers = tuple[list[str], list[str], list[str]]

CHANGES: dict[str, tuple[str, str, Readers]] = {
    "BookLent": (
        "full",
        "desk is new, with the default 'main'",
        (["reminders", "waiting_list"], [], ["book_lent"]),
    ),
    "BookReturned": (
        "forward",
        "by is new, without a default",
        (["reminders"], ["book_states"], ["book_returned"]),
    ),
    "BookLost": ("backward", "where is gone", (["stock"], ["book_states"], ["book_lost"])),
    "BookMoved": (
        "none",
        "to is gone, and shelf of the same type is new",
        ([], ["book_shelves"], ["book_moved"]),
    ),
    "BookWeighed": (
        "none",
        "grams was integer and is now string",
        ([], [], ["book_weighed", "weights"]),
    ),
    "BookGraded": (
        "forward",
        "state is 'torn' no more",
        ([], ["book_states"], ["book_graded"]),
    ),
    "BookShelved": (
        "backward",
        "floor may be 'attic', too",
        ([], ["book_shelves"], ["book_shelved"]),
    ),
    "BookStamped": (
        "none",
        "is gone: stored events cannot be read, and its readers get no more",
        (["stamps"], ["book_shelves"], ["book_stamped"]),
    ),
    "BookReserved": (
        "none",
        (
            "is gone: stored events cannot be read, and its readers get no more;"
            " BookClaimed has its fields, and is not said to be it"
        ),
        (["waiting_list"], [], ["book_reserved"]),
    ),
    "BookClaimed": ("full", "is new", (["waiting_list"], [], ["book_claimed"])),
    "BookOverdue": (
        "none",
        "fines[].days was integer and is now string",
        (["reminders"], [], ["book_overdue", "fines", "fines_by_book"]),
    ),
}


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders that `handrail contracts --write` wrote, before and after the changes."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    assert contracts.write(old, before.APP) == contracts.write(new, after.APP) == 0
    return old, new


@pytest.fixture(scope="module")
def found(revisions: tuple[Path, Path]) -> dict[str, EventDiff]:
    old, new = revisions
    compared = differences(revision(str(old), FOLDER), revision(str(new), FOLDER))
    return {one.event: one for one in compared}


@pytest.mark.parametrize("event", CHANGES)
def test_each_kind_of_change_gets_its_verdict_and_the_names_of_what_reads_the_event(
    event: str, found: dict[str, EventDiff]
) -> None:
    verdict, said, readers = CHANGES[event]
    one = found[event]
    assert (str(one.verdict), [change.said for change in one.changes]) == (verdict, [said])
    assert tuple(one.readers.as_json().values()) == readers


def test_an_event_that_is_the_same_is_not_listed(found: dict[str, EventDiff]) -> None:
    assert found.keys() == CHANGES.keys()


def test_the_files_are_the_same_however_often_they_are_written(
    revisions: tuple[Path, Path], tmp_path: Path
) -> None:
    old, _ = revisions
    contracts.write(tmp_path, before.APP)
    for file in old.rglob("*.json"):
        assert (tmp_path / file.relative_to(old)).read_bytes() == file.read_bytes()
    assert contracts.check(old, before.APP) == 0


@pytest.mark.parametrize(
    ("demanded", "code"), [("none", 0), ("backward", 1), ("forward", 1), ("full", 1)]
)
def test_the_exit_code_is_1_where_an_event_is_less_than_required(
    demanded: str, code: int, revisions: tuple[Path, Path]
) -> None:
    old, new = map(str, revisions)
    assert contract_diff.diff(old, new, FOLDER, Verdict(demanded), (), json=False) == code


@pytest.mark.parametrize("demanded", ["backward", "forward", "full"])
def test_what_is_required_is_met_by_that_and_by_more(
    demanded: str, found: dict[str, EventDiff]
) -> None:
    less = {name for name, (verdict, *_) in CHANGES.items() if verdict not in {demanded, "full"}}
    assert set(less_than(Verdict(demanded), list(found.values()), ())) == less


def test_an_event_that_is_set_apart_may_be_less(
    revisions: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = map(str, revisions)
    apart = [name for name, (verdict, *_) in CHANGES.items() if verdict != "full"]
    assert contract_diff.diff(old, new, FOLDER, Verdict.FULL, apart, json=False) == 0

    apart += ["BookCounted"]
    assert contract_diff.diff(old, new, FOLDER, Verdict.FULL, apart, json=False) == 2
    assert "--except names no event that changed: BookCounted" in capsys.readouterr().err


def test_the_json_has_all_that_the_table_says(
    revisions: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = map(str, revisions)
    contract_diff.diff(old, new, FOLDER, Verdict.FORWARD, (), json=True)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (said["old"], said["new"], said["require"]) == (old, new, "forward")
    assert [one["event"] for one in said["events"]] == sorted(CHANGES)
    lost = next(one for one in said["events"] if one["event"] == "BookLost")
    assert lost == {
        "event": "BookLost",
        "context": "lending",
        "old": "BookLost.v1",
        "new": "BookLost.v1",
        "verdict": "backward",
        "changes": [{"said": "where is gone", "backward": True, "forward": False}],
        "conversion": "",
        "consumers": ["stock"],
        "read_models": ["book_states"],
        "lake_views": ["book_lost"],
    }
    assert set(said["less"]) == {
        name for name, (verdict, *_) in CHANGES.items() if verdict in {"none", "backward"}
    }


@pytest.fixture
def repository(
    revisions: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A repository, and its folder as the current one: tag `old`, and the new contracts in the
    working tree.
    """
    monkeypatch.chdir(tmp_path)
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@t")
    old, new = revisions
    for command in (
        ["git", "init", "-q"],
        ["mkdir", "-p", "docs"],
        ["cp", "-r", str(old), "docs/contracts"],
        ["git", "add", "."],
        [*git, "commit", "-qm", "The contracts"],
        ["git", "tag", "old"],
        ["cp", "-rT", str(new), "docs/contracts"],
    ):
        subprocess.run(command, check=True)
    return tmp_path


def test_a_commit_is_compared_with_the_working_tree(repository: Path) -> None:
    said = revision("old", FOLDER)
    assert said.contracts.keys() == before.APP.codec.classes.keys() & {
        one.__name__ for one in before.APP.events
    }
    compared = differences(said, revision(str(FOLDER), FOLDER))
    assert {one.event: str(one.verdict) for one in compared} == {
        name: verdict for name, (verdict, *_) in CHANGES.items()
    }


def test_a_revision_from_before_there_were_readers_has_its_consumers_from_the_broker(
    repository: Path,
) -> None:
    (FOLDER / "readers.json").unlink()
    said = revision(str(FOLDER), FOLDER)
    assert not said.knows_readers
    assert "BookStamped" not in said.contracts


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "nowhere is no folder, and git says"),
        ("--output=stolen", "--output=stolen is no folder, and git says"),
        ("empty", "empty: there are no files events/CONTEXT/EVENT.vN.json"),
        ("broken", r"broken: events/lending/BookLent.v1.json is no JSON"),
    ],
)
def test_what_has_no_contracts_is_refused_by_its_name(
    name: str, said: str, repository: Path
) -> None:
    (repository / "empty").mkdir()
    (repository / "broken/events/lending").mkdir(parents=True)
    (repository / "broken/events/lending/BookLent.v1.json").write_text("{")
    with pytest.raises(NoContracts, match=said):
        revision(name, FOLDER)
    assert contract_diff.diff(name, "old", FOLDER, Verdict.NONE, (), json=False) == 2


def test_the_table_is_readable_in_80_columns(
    revisions: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    old, new = revisions
    monkeypatch.chdir(old.parent)
    contract_diff.diff(old.name, new.name, FOLDER, Verdict.FULL, (), json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    said = " ".join(" ".join(lines).split())
    for event, (verdict, *_) in CHANGES.items():
        assert event in said
        assert verdict in said
    assert "fines_by_book" in said


Shape = dict[str, Any]


def fields(**of: Any) -> Shape:
    return {"type": "object", "properties": of, "required": sorted(of)}


STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
TREE = {"$ref": "#/$defs/Tree"}


def tree(leaf: Shape) -> Shape:
    branches = {"type": "array", "items": TREE}
    defined = fields(leaf=leaf, branches=branches, other={"anyOf": [TREE, NULL]})
    return {**TREE, "$defs": {"Tree": defined}}


Ways = Literal["full", "backward", "forward", "none"]


@pytest.mark.parametrize(
    ("old", "new", "way", "said"),
    [
        (STRING, {"anyOf": [STRING, NULL]}, "backward", "it may be null, too"),
        ({"anyOf": [STRING, NULL]}, STRING, "forward", "it is null no more"),
        (INTEGER, {"type": "number"}, "backward", "it was integer and is now number"),
        (STRING, {"type": "string", "enum": ["a"]}, "forward", "it was string and is now 'a'"),
        (
            {"type": "string", "const": "a"},
            {"type": "string", "enum": ["b", "a"]},
            "backward",
            "it may be 'b', too",
        ),
        (
            {"type": "string", "maxLength": 5},
            {"type": "string", "maxLength": 9},
            "backward",
            "it was string (maxLength 5) and is now string (maxLength 9)",
        ),
        (
            {"anyOf": [STRING, INTEGER]},
            {"anyOf": [INTEGER, {"type": "number"}]},
            "none",
            "it was string and is now number",
        ),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"type": "object", "additionalProperties": STRING},
            "none",
            ".* was integer and is now string",
        ),
        (
            fields(one={"anyOf": [fields(a=STRING), NULL]}),
            fields(one={"anyOf": [fields(a=STRING, b=STRING), NULL]}),
            "forward",
            "one.b is new, without a default",
        ),
        (tree(STRING), tree(INTEGER), "none", "leaf was string and is now integer"),
    ],
)
def test_types_values_and_bounds_are_compared_one_way_and_the_other(
    old: Shape, new: Shape, way: Ways, said: str
) -> None:
    [one] = changes(old, new)
    assert (one.said, Verdict.of(backward=one.backward, forward=one.forward)) == (said, way)
    [back] = changes(new, old)
    assert (back.backward, back.forward) == (one.forward, one.backward)


def test_what_is_only_said_changes_nothing() -> None:
    described = {**fields(a={**STRING, "title": "A"}), "description": "other", "examples": [1]}
    assert changes(fields(a=STRING), described) == []


def with_conversions(folder: Path, **older: Shape) -> None:
    """As the contracts of an app that declares how `BookWeighed` came to version 2."""
    file = folder / "readers.json"
    said = json.loads(file.read_text())
    said["events"]["BookWeighed"] |= {"form": "BookWeighed.v2", "older": older}
    file.write_text(json.dumps(said))
    schema = folder / "events/lending/BookWeighed.v1.json"
    new = json.loads(schema.read_text())
    new["properties"]["grams"] = STRING
    schema.with_name("BookWeighed.v2.json").write_text(json.dumps(new))


@pytest.mark.parametrize(
    ("older", "verdict", "conversion"),
    [
        ({}, "none", "nothing lifts BookWeighed.v1"),
        (
            {"BookWeighed.v1": {"lowers": False}},
            "backward",
            "lifted from BookWeighed.v1, and not lowered to it",
        ),
        (
            {"BookWeighed.v1": {"lowers": True, "loses": ["unit"]}},
            "full",
            "lifted from BookWeighed.v1 and lowered to it, which loses unit",
        ),
    ],
)
def test_a_new_version_is_as_compatible_as_its_conversions(
    older: Shape, verdict: str, conversion: str, revisions: tuple[Path, Path], tmp_path: Path
) -> None:
    old, _ = revisions
    contracts.write(tmp_path, before.APP)
    with_conversions(tmp_path, **older)
    [one] = differences(revision(str(old), FOLDER), revision(str(tmp_path), FOLDER))
    assert (one.old, one.new) == ("BookWeighed.v1", "BookWeighed.v2")
    assert (str(one.verdict), one.conversion) == (verdict, conversion)
    assert [change.said for change in one.changes] == ["grams was integer and is now string"]


def test_a_stored_form_that_is_changed_afterwards_is_seen(
    revisions: tuple[Path, Path], tmp_path: Path
) -> None:
    old, _ = revisions
    contracts.write(tmp_path, before.APP)
    with_conversions(tmp_path, **{"BookWeighed.v1": {"lowers": True}})
    (tmp_path / "events/lending/BookWeighed.v1.json").unlink()
    [one] = differences(revision(str(old), FOLDER), revision(str(tmp_path), FOLDER))
    assert str(one.verdict) == "forward"
    assert one.changes[0].said == "BookWeighed.v1.json is gone, and events of it are stored"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EventDiff]:
    """From a release to the next, which declares a change of every kind."""
    old, new = tmp_path_factory.mktemp("release"), tmp_path_factory.mktemp("next")
    for folder, apps in ((old, [OLD]), (new, [OLD, NEW])):
        for app in apps:
            assert contracts.write(folder, app) == 0
    found = differences(revision(str(old), FOLDER), revision(str(new), FOLDER))
    return {f"{one.event} {one.old}": one for one in found}


LOWERED = "lifted from {} and lowered to it"


@pytest.mark.parametrize(
    ("event", "new", "verdict", "conversion"),
    [
        (
            "RoomBooked RoomBooked.v1",
            "RoomBooked.v2",
            "full",
            LOWERED.format("RoomBooked.v1") + ", which loses floor",
        ),
        (
            "StayMeasured StayMeasured.v1",
            "StayMeasured.v2",
            "full",
            LOWERED.format("StayMeasured.v1") + ", which loses seconds",
        ),
        (
            "MealServed MealServed.v1",
            "MealServed.v2",
            "full",
            LOWERED.format("MealServed.v1"),
        ),
        (
            "RemarkNoted RemarkNoted.v1",
            "RemarkNoted.v2",
            "full",
            LOWERED.format("RemarkNoted.v1"),
        ),
        (
            "KeyGiven KeyHandedOver.v1",
            "KeyGiven.v2",
            "full",
            LOWERED.format("KeyHandedOver.v1"),
        ),
        (
            "GuestMoved GuestMoved.v1",
            "AddressChanged.v1, PhoneChanged.v1",
            "backward",
            (
                "once its parts are written, queues bound to GuestMoved.v1 get nothing: they are"
                " not put together again"
            ),
        ),
        (
            "RebateGranted DiscountGranted.v1",
            "RebateGranted.v1",
            "full",
            LOWERED.format("DiscountGranted.v1") + ", which loses permille",
        ),
        (
            "HelpAsked BellRung.v1",
            "HelpAsked.v1",
            "backward",
            "lifted from BellRung.v1, and not lowered to it",
        ),
    ],
)
def test_declared_changes_are_as_compatible_as_they_can_be_converted(
    event: str, new: str, verdict: str, conversion: str, releases: dict[str, EventDiff]
) -> None:
    one = releases[event]
    assert (one.new, str(one.verdict), one.conversion) == (new, verdict, conversion)


def test_no_event_of_the_releases_is_gone_or_new_in_silence(
    releases: dict[str, EventDiff],
) -> None:
    assert len(releases) == 8

"""A revision changes with what a fold is given, too: the fields of events, and earlier versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handrail.eventstore.codec import Codec
from handrail.eventstore.folds.fold_revision import given_to, revision_of
from tests.folds.source import module_of

Revision = Callable[[str], str]

SOURCE = """
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldConverted
from handrail.kernel import Event, Refusal

if TYPE_CHECKING:
    from nowhere import Row


def in_cents(amount):
    return amount * 100


Amount = Annotated[int, AfterValidator(in_cents)]


@dataclass(frozen=True, kw_only=True)
class Held(Event, context="folds"):
    amount: Amount
    note: str = "none"


@dataclass(frozen=True, kw_only=True)
class Refused(Refusal, context="folds"):
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Event, context="folds"):
    total: int


EVENTS = (Held, Refused, Elsewhere)
FoldEvent = Held | Refused


def raised(amount):
    return amount + 1


CHANGES = (NewVersion("Held", 2, (FieldConverted("amount", raised, lambda amount: amount - 1),)),)


@dataclass(frozen=True)
class State:
    held: int = 0


def evolve(state: State, event: FoldEvent) -> State:
    return State(state.held + event.amount)
"""


@pytest.fixture
def revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Revision:
    def of(source: str) -> str:
        module = module_of(source, tmp_path, monkeypatch)
        codec = Codec.of(module.EVENTS, module.CHANGES)
        return revision_of(codec, module.State(), module.evolve)

    return of


CHANGED = {
    "a conversion of a field": ("amount * 100", "amount * 1000"),
    "a default of a field": ('note: str = "none"', 'note: str = "no"'),
    "the way from an earlier version": ("amount + 1", "amount + 2"),
    "the type of a field": ("wanted: int", "wanted: str"),
    "a field of the state": ("    held: int = 0", "    held: int = 0\n    more: int = 0"),
    "the fold": ("State(state.held + ", "State(state.held - "),
}
THE_SAME = {
    "a comment": ("    return State", "    # in words\n    return State"),
    "an event that the fold is not given": ("total: int", "total: str"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_revision_changes_with(revision: Revision, what: str) -> None:
    before, after = CHANGED[what]
    assert SOURCE.count(before) == 1
    assert revision(SOURCE.replace(before, after)) != revision(SOURCE)


@pytest.mark.parametrize("what", THE_SAME)
def test_a_revision_does_not_change_with(revision: Revision, what: str) -> None:
    before, after = THE_SAME[what]
    assert SOURCE.count(before) == 1
    assert revision(SOURCE.replace(before, after)) == revision(SOURCE)


def test_the_form_of_the_state_is_the_first_part_of_a_revision(revision: Revision) -> None:
    form, _, fold = revision(SOURCE).partition("-")
    other_fold = revision(SOURCE.replace("state.held + ", "state.held - "))
    assert (other_fold.startswith(f"{form}-"), fold in other_fold) == (True, False)
    other_form = revision(SOURCE.replace("held: int = 0", "held: int = 0\n    more: int = 0"))
    assert not other_form.startswith(form)


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        ("event: FoldEvent", {"Held", "Refused"}),
        ("event: Held", {"Held"}),
        ("event: Refusal", {"Refused"}),
        ("event: Event", {"Held", "Refused", "Elsewhere"}),
        ("event", {"Held", "Refused", "Elsewhere"}),
        ("event: Row", {"Held", "Refused", "Elsewhere"}),
    ],
)
def test_the_events_of_a_fold_are_those_of_its_annotation_or_else_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annotation: str, given: set[str]
) -> None:
    source = SOURCE.replace("event: FoldEvent)", f"{annotation})")
    module = module_of(source, tmp_path, monkeypatch)
    found = given_to(module.evolve, Codec.of(module.EVENTS))
    assert {one.__name__ for one in found} == given

"""Changes of personal fields: sealed texts are passed on whole, and keep their subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from handrail.app import App, Context
from handrail.eventstore.codec import Codec
from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldConverted, FieldRenamed, FieldsConverted
from handrail.kernel import Event
from handrail.messaging.contracts.change_laws import broken_laws
from handrail.personal import Personal
from handrail.wrongly_declared import WronglyDeclared


@dataclass(frozen=True, kw_only=True)
class GuestNamed(Event, context="inn"):
    guest: str
    name: Annotated[str, Personal(subject="guest")]


@dataclass(frozen=True, kw_only=True)
class GuestKnown(Event, context="inn"):
    guest: str
    name: Annotated[str, Personal(subject="guest", kind="visitor")]


def broken(*loses: str, up: Any, down: Any) -> str:
    change = NewVersion("GuestNamed", 2, (FieldConverted("name", up=up, down=down),), loses=loses)
    return " ".join(broken_laws(Codec.of([GuestNamed], [change]), cases=300))


def test_a_conversion_that_cuts_into_a_sealed_text_is_named() -> None:
    said = broken("name", up=lambda text: text, down=lambda text: text[:7])
    assert "GuestNamed v2" in said
    assert "cuts into a text that is sealed" in said


@pytest.mark.parametrize("bent", [str.upper, lambda text: text[::-1]])
def test_a_conversion_that_changes_a_sealed_text_is_named(bent: Any) -> None:
    assert "GuestNamed v2" in broken("name", up=bent, down=bent)


def test_a_sealed_text_may_move_to_another_field() -> None:
    def up(old: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"name": old["last"]}

    def down(new: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"last": new["name"]}

    change = NewVersion("GuestNamed", 2, (FieldsConverted(("last",), ("name",), up, down),))
    assert broken_laws(Codec.of([GuestNamed], [change]), cases=300) == []


def with_subject_renamed(event: type[Event]) -> App:
    change = NewVersion(event.__name__, 2, (FieldRenamed("guest", was="visitor"),))
    return App(contexts=[Context(name="inn", events=(event,))], evolutions=[change])


def test_a_subject_that_is_renamed_keeps_its_kind_or_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="kind='visitor'"):
        with_subject_renamed(GuestNamed)
    assert with_subject_renamed(GuestKnown).codec.version("GuestKnown") == 2

"""What is stored can be read for ever: by name and version, one class for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from domain.identifiers import OrderId
from domain.payments.events import PaymentRefunded, PaymentVoided
from handrail.eventstore.codec import Codec, UnknownMessage
from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldAdded, FieldsConverted
from handrail.evolution.forms import Form
from handrail.kernel import Event, Money
from runtime.app import HANDRAIL
from tests.eventstore.anything import anything
from tests.eventstore.contracts import contract, contracts
from tests.inputs import number_of

STORED = Path(__file__).with_name("registered_names.txt")


def _through(codec: Codec, message: object) -> Any:
    encoded = codec.encode(message)
    return codec.decode(encoded.type, encoded.schema, orjson.loads(encoded.data))


@pytest.mark.property
@pytest.mark.parametrize(
    "cls", [*HANDRAIL.events, *HANDRAIL.commands], ids=lambda cls: cls.__name__
)
def test_what_is_encoded_is_decoded(cls: type) -> None:
    @settings(max_examples=number_of(25, few=5), deadline=None, derandomize=True, database=None)
    @given(anything(cls))
    def holds(message: object) -> None:
        assert _through(HANDRAIL.codec, message) == message

    holds()


def test_every_message_is_frozen() -> None:
    for cls in HANDRAIL.codec.classes.values():
        assert cls.__dataclass_params__.frozen, cls  # type: ignore[attr-defined]


def test_classes_with_the_same_fields_are_told_apart() -> None:
    for cls in (PaymentVoided, PaymentRefunded):
        message = cls(order=OrderId("o-1"), amount=Money(1, "EUR"))
        assert type(_through(HANDRAIL.codec, message)) is cls


def test_a_subclass_that_is_not_registered_is_not_mistaken_for_its_parent() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Special(PaymentVoided):
        pass

    with pytest.raises(UnknownMessage, match="Special"):
        HANDRAIL.codec.encode(Special(order=OrderId("o-1"), amount=Money(1, "EUR")))


def test_an_unknown_name_is_said_to_be_unknown() -> None:
    with pytest.raises(UnknownMessage, match="NeverHeardOf v1"):
        HANDRAIL.codec.decode("NeverHeardOf", 1, {})


def test_a_version_of_the_future_is_unknown() -> None:
    with pytest.raises(UnknownMessage, match="PaymentVoided v2"):
        HANDRAIL.codec.decode("PaymentVoided", 2, {})


def test_fields_of_the_future_are_passed_over() -> None:
    data = {"order": "o-1", "amount": {"amount": 1, "currency": "EUR", "x": 1}, "later": [1]}
    assert HANDRAIL.codec.decode("PaymentVoided", 1, data) == PaymentVoided(
        order=OrderId("o-1"), amount=Money(1, "EUR")
    )


def test_two_classes_of_one_name_are_refused() -> None:
    one = dataclasses.make_dataclass("Noted", [])
    other = dataclasses.make_dataclass("Noted", [])
    with pytest.raises(ValueError, match="Noted is registered twice"):
        Codec.of([one, other])


@dataclass(frozen=True, kw_only=True)
class Shipped(Event):
    """In version 1 it had a `weight` in kilograms, in version 2 it had no `carrier`."""

    grams: int
    carrier: str


def to_grams(old: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"grams": old["weight"] * 1000}


def to_weight(new: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"weight": new["grams"] // 1000}


UPCAST = Codec.of(
    [Shipped],
    [
        NewVersion("Shipped", 2, (FieldsConverted(("weight",), ("grams",), to_grams, to_weight),)),
        NewVersion("Shipped", 3, (FieldAdded("carrier", "post"),), loses=("carrier",)),
    ],
)


@pytest.mark.parametrize(
    ("schema", "data"),
    [(1, {"weight": 2}), (2, {"grams": 2000}), (3, {"grams": 2000, "carrier": "post"})],
)
def test_old_versions_are_lifted_one_by_one(schema: int, data: dict[str, Any]) -> None:
    assert UPCAST.decode("Shipped", schema, data) == Shipped(grams=2000, carrier="post")


def test_the_newest_version_is_written() -> None:
    assert UPCAST.encode(Shipped(grams=1, carrier="post")).schema == 3


def test_lifting_leaves_the_stored_data_alone() -> None:
    stored = {"weight": 2}
    UPCAST.decode("Shipped", 1, stored)
    assert stored == {"weight": 2}


def test_no_stored_contract_changes_without_a_new_version() -> None:
    stored, now = STORED.read_text().splitlines(), contracts()
    versions = {line.partition(":")[0]: line for line in stored}
    for line in now:
        known = versions.get(line.partition(":")[0])
        assert known is not None, f"add this line to {STORED.name}:\n{line}"
        assert known == line, (
            f"what is stored already reads\n{known}\nand the class now says\n{line}\n"
            "Give it a new version: a change in App.evolutions, and a line of its own here.\n"
            "Where a field with a default was added, and nothing else, put it into the line."
        )


def test_nothing_that_was_ever_stored_is_forgotten() -> None:
    for line in STORED.read_text().splitlines():
        name, _, version = line.partition(":")[0].partition(" v")
        assert HANDRAIL.codec.lineages.is_known(Form(name, int(version))), (
            f"{name} v{version} can be in a store, but nothing reads it any more:"
            " App.evolutions has lost a change"
        )


def test_a_changed_field_changes_the_contract() -> None:
    """The guard itself: a name, a type or a field of a field is seen."""
    assert contract(Shipped, UPCAST) == "Shipped v3: carrier str, grams int"
    changed = dataclasses.make_dataclass("PaymentVoided", [("order", str), ("amount", int)])
    assert contract(changed) != contract(PaymentVoided)
    assert contract(PaymentVoided) == (
        "PaymentVoided v1: amount.amount int, amount.currency str, order str"
    )

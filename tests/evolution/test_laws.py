"""The laws of changes, on whatever a message may hold: what is lowered comes back, but for what is
declared to be lost.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.eventstore.codec import Codec, Unstorable
from handrail.evolution.changes import Change, EventSplit
from handrail.evolution.forms import Data, Form
from handrail.messaging.contracts.change_laws import broken_on
from handrail.testing.changes import changes_go_both_ways
from runtime.app import HANDRAIL
from tests.eventstore.anything import anything
from tests.evolution.new_release import CHANGES, NEW
from tests.inputs import inputs

A_FEW = inputs(200, few=50)
MANY = settings(
    max_examples=10_000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def changed(draw: st.DrawFn) -> tuple[Change, list[tuple[Form, Data]]]:
    """A change, and messages of its newer forms; parts of one event are of one guest."""
    change = draw(st.sampled_from(CHANGES))
    codec = NEW.codec
    pieces: list[tuple[Form, Data]] = []
    for form in change.new:
        cls = codec.classes[form.name]
        message = draw(anything(cls))
        data: Data = orjson.loads(codec.adapter(cls).dump_json(message, by_alias=True))
        if isinstance(change, EventSplit) and pieces:
            data["guest"] = pieces[0][1]["guest"]
        pieces.append((form, data))
    return change, pieces


def holds(case: tuple[Change, list[tuple[Form, Data]]]) -> None:
    change, pieces = case
    assert list(broken_on(NEW.codec, change, pieces)) == []


def lowered_is_read_as_it_was(codec: Codec, case: tuple[Change, list[tuple[Form, Data]]]) -> None:
    """As the codec writes and reads it."""
    change, pieces = case
    messages = [
        codec.adapter(codec.classes[form.name]).validate_python(data) for form, data in pieces
    ]
    try:
        encoded = codec.encode_all(messages)
    except Unstorable:  # ten times as much takes more than 64 bits
        return
    again: list[Any] = [
        message
        for one in encoded
        for message in codec.decode_all(one.type, one.schema, orjson.loads(one.data))
    ]
    assert len(again) == len(messages)
    for before, after in zip(messages, again, strict=True):
        kept = {key: value for key, value in vars(before).items() if key not in change.loses}
        assert kept.items() <= vars(after).items()


LOW = Codec.of(NEW.codec.classes.values(), CHANGES)
LOW.levels.rows = {}


@A_FEW
@given(changed())
def test_the_laws_hold(case: tuple[Change, list[tuple[Form, Data]]]) -> None:
    holds(case)
    lowered_is_read_as_it_was(LOW, case)


@pytest.mark.thorough
@MANY
@given(changed())
def test_the_laws_hold_ten_thousand_times(case: tuple[Change, list[tuple[Form, Data]]]) -> None:
    holds(case)
    lowered_is_read_as_it_was(LOW, case)


def test_the_changes_of_the_shop_go_both_ways() -> None:
    changes_go_both_ways(HANDRAIL)

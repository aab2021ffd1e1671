"""Names of actors: those of principals, and those that are stored from before."""

from __future__ import annotations

import json

import pytest

from handrail import bounds
from handrail.access.principal import Kind, Principal
from tests.recorded import rows
from tests.recorded.rows import STORE, SUFFIX

LONGEST = "a" * bounds.PRINCIPAL.longest


@pytest.mark.parametrize("kind", ["person", "service", "company", "development"])
def test_the_longest_names_of_both_fit_what_is_stored(kind: Kind) -> None:
    one = Principal(kind, LONGEST)
    assert bounds.STORED_ACTOR.wrong_with(one.actor) is None
    assert bounds.STORED_ACTOR.wrong_with(one.acting_for("b" * bounds.ACTOR.longest)) is None


@pytest.mark.parametrize("name", ["api", "ann@example.com", "2026:ops+night", "carrier"])
def test_a_name_from_before_is_still_within_the_bounds(name: str) -> None:
    assert bounds.ACTOR.wrong_with(name) is None
    assert bounds.STORED_ACTOR.wrong_with(name) is None


@pytest.mark.parametrize("name", ["anna for", "for anna", "a for b for c", "a  for b", "", "a b"])
def test_what_looks_like_two_names_and_is_not_is_refused(name: str) -> None:
    assert bounds.STORED_ACTOR.wrong_with(name)


def test_every_actor_of_the_recorded_store_is_within_the_bounds() -> None:
    recorded = rows.rows_in(rows.read(STORE / f"events{SUFFIX}"))
    metadata = [json.loads(rows.value(row["metadata"]) or "{}") for row in recorded]
    actors = {one["actor"] for one in metadata if "actor" in one}
    assert actors
    assert [one for one in actors if bounds.STORED_ACTOR.wrong_with(one)] == []

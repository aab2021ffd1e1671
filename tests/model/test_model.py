"""Each saga with any one disturbance: a slice of what `make model` runs."""

from __future__ import annotations

import pytest

from tests.model.plan import SINGLE, Part
from tests.model.plans import plan as plans


@pytest.mark.quick(2)
@pytest.mark.parametrize("part", SINGLE, ids=[part.shape for part in SINGLE])
def test_a_saga_keeps_every_law_with_any_one_disturbance(part: Part) -> None:
    found = part.run()
    assert not found.broken, str(found.broken[0])
    assert found.ends > 50


@pytest.mark.thorough
@pytest.mark.parametrize("part", plans.SINGLE, ids=[part.shape for part in plans.SINGLE])
def test_what_is_due_is_collected_with_any_one_disturbance(part: plans.Part) -> None:
    found = part.run()
    assert not found.broken, str(found.broken[0])
    assert found.ends > 100

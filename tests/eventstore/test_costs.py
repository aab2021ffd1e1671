"""What is asked again and again costs the same, however much there is: the table of `costs.py`."""

from __future__ import annotations

import logging

import pytest

from handrail.dev.postgres import EmbeddedPostgres
from tests.eventstore.costs import COSTS, Cost, measure

pytestmark = pytest.mark.thorough

_log = logging.getLogger(__name__)


@pytest.mark.parametrize("cost", COSTS, ids=lambda one: one.what)
async def test_ten_times_as_much_costs_the_same(
    postgres: EmbeddedPostgres, database_template: str, cost: Cost
) -> None:
    measured = await measure(cost, postgres, database_template)
    _log.info("%s", measured)
    assert not measured.has_grown, measured

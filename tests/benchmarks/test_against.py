"""A benchmark beside that of another commit: what counts as worse."""

from __future__ import annotations

import pytest

from benchmarks.against import ALLOWED, MEASURES, Better, Compared
from benchmarks.goals import GOALS


@pytest.mark.parametrize(
    ("better", "here", "holds"),
    [
        ("higher", [100.0, 96.0, 95.5], True),
        ("higher", [94.0, 95.0, 100.0], False),
        ("lower", [104.0, 104.9, 200.0], True),
        ("lower", [106.0, 106.0, 90.0], False),
    ],
)
def test_the_median_may_be_worse_by_the_allowed_share(
    better: Better, here: list[float], *, holds: bool
) -> None:
    assert ALLOWED == 0.05
    assert Compared("saga", "some", better, here, [100.0] * 3).holds is holds


def test_every_benchmark_that_is_compared_exists() -> None:
    assert MEASURES.keys() <= GOALS.keys()

"""What `make test` runs of a long test, and `make thorough` runs all of (tests/collecting.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import collecting
from tests.inputs import inputs


def a_case() -> None:
    """Of a test with many."""


def cases(request: pytest.FixtureRequest, number: int) -> list[pytest.Item]:
    made: list[pytest.Item] = [
        pytest.Function.from_parent(request.node.parent, name=f"a_case[{n}]", callobj=a_case)
        for n in range(number)
    ]
    return made


def quick(items: list[pytest.Item], number: int) -> list[int]:
    """Which of them are, where so many are to be."""
    for item in items:
        item.add_marker(pytest.mark.quick(number))
    collecting.pytest_collection_modifyitems(items)
    return [n for n, item in enumerate(items) if not item.get_closest_marker("thorough")]


def test_so_many_cases_are_quick_and_evenly_spread(request: pytest.FixtureRequest) -> None:
    assert quick(cases(request, 6), 2) == [0, 3]
    assert quick(cases(request, 7), 3) == [0, 2, 4]


def test_where_there_are_fewer_all_are_quick(request: pytest.FixtureRequest) -> None:
    assert quick(cases(request, 2), 5) == [0, 1]
    assert quick(cases(request, 1), 1) == [0]


@pytest.mark.parametrize("mark", collecting.LONG)
def test_a_case_that_is_long_by_itself_is_none_of_them(
    request: pytest.FixtureRequest, mark: str
) -> None:
    first, *others = items = cases(request, 3)
    first.add_marker(mark)
    quick(items, 1)
    assert [bool(one.get_closest_marker("thorough")) for one in others] == [False, True]


@pytest.mark.parametrize(("many", "tried"), [(False, 5), (True, 50)])
def test_a_property_is_tried_with_few_inputs_or_with_many(
    monkeypatch: pytest.MonkeyPatch, *, many: bool, tried: int
) -> None:
    monkeypatch.setattr(collecting, "many_inputs", many)
    seen = []

    @inputs(50, few=5)
    @given(st.integers())
    def holds(number: int) -> None:
        seen.append(number)

    holds()
    assert len(seen) == tried

"""How many inputs a property is tried with: few by `make test`, many by `make thorough`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests import collecting

FEW: Final = 25
Test = TypeVar("Test", bound=Callable[..., Any])


def number_of(many: int, *, few: int) -> int:
    """Of inputs, for a test that is marked `property` and has `@given` inside."""
    return many if collecting.many_inputs else few


def inputs(many: int, *, few: int = FEW) -> Callable[[Test], Test]:
    """For a test with `@given`; `many` inputs with `--many-inputs`, and else `few`. However long a
    busy machine takes for an input is no reason to fail.
    """
    chosen = settings(
        max_examples=number_of(many, few=few),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )

    def decorated(test: Test) -> Test:
        marked: Test = pytest.mark.property(chosen(test))
        return marked

    return decorated

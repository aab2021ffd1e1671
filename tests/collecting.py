"""What is collected stays to the end: the garbage collector is not to walk through it all again.

With `--many-inputs` the properties are tried with many inputs (tests/inputs.py). Of the cases of a
test that is marked `quick(number)` so many, evenly spread, are quick, and all others `thorough`.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from typing import Final

import pytest

LONG: Final = ("journey", "matrix", "thorough")

many_inputs = False
"""Known before the tests are imported."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--many-inputs", action="store_true", help="try properties with many inputs, not few"
    )


def pytest_configure(config: pytest.Config) -> None:
    global many_inputs  # noqa: PLW0603  # which tests read when they are imported
    many_inputs = config.getoption("many_inputs")


def pytest_sessionstart() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before those that were not asked for are left out."""
    cases = defaultdict[tuple[str, int], list[pytest.Item]](list)
    for item in items:
        mark = item.get_closest_marker("quick")
        if mark and not any(item.get_closest_marker(one) for one in LONG):
            cases[item.nodeid.partition("[")[0], mark.args[0]].append(item)
    for (_, number), of_one_test in cases.items():
        quick = {n * len(of_one_test) // number for n in range(number)}
        for n, item in enumerate(of_one_test):
            if n not in quick:
                item.add_marker(pytest.mark.thorough)

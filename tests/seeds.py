"""Random stories: `make test` runs a few of them, and `make thorough` all others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def two_of(seeds: Iterable[int]) -> list[Any]:
    return [
        pytest.param(seed, marks=() if number < 2 else (pytest.mark.thorough,))
        for number, seed in enumerate(seeds)
    ]

"""What an operator types is bounded like a request: it is stored, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handrail.bounds import Bound


def within(bound: Bound) -> Callable[[Any, Any], None]:
    """For `Parameter(validator=…)`: the command says what is wrong, and does nothing."""

    def check(_kind: Any, value: Any) -> None:
        if value is not None and (said := bound.wrong_with(value)):
            raise ValueError(said)

    return check

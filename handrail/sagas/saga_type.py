"""A type of saga: its workflow, and the saga of an example to explain, test and replay it by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handrail.sagas.definition import Saga


@dataclass(frozen=True, kw_only=True)
class SagaType:
    """`name` is the workflow's name in Temporal, `purpose` a sentence for operators.

    `example` is the saga of some input: its steps are the same for every input.
    """

    name: str
    purpose: str
    workflow: type[Any]
    example: Callable[[], Saga]

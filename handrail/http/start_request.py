"""A saga that is to begin: which, with what, and what Temporal shows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from handrail.sagas.saga_type import SagaType

InputT = TypeVar("InputT")


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """Begun once for each `saga`, which is its id. `summary` and `details` hold nothing personal.

    `attempt` is another than the first only where the one before has ended. `request` names what it
    was asked for by, where it matters which of several requests has begun it. `same` says whether
    an input with which it was begun before is what is asked for now; without it, one that is equal.
    """

    saga: str
    saga_type: str
    input: Any
    tenant: str
    summary: str
    details: str = ""
    attempt: int = 1
    request: str = ""
    same: Callable[[Any], bool] | None = None

    @classmethod
    def of(cls, type_: SagaType[InputT], asked: InputT, **more: Any) -> StartRequest:
        """As the saga's type says; `more` are other fields."""
        return cls(
            saga=type_.id(asked),
            saga_type=type_.name,
            input=asked,
            tenant=type_.tenant(asked),
            summary=type_.summary(asked),
            details=type_.details(asked),
            **more,
        )

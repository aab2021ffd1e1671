"""What the harness needs to know of a saga: how to begin one, each time with fresh parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handrail.kernel import Command
from handrail.sagas.definition import Saga

if TYPE_CHECKING:
    from tests.world import World

Correction = Callable[[Any], Command]
"""The corrected command, from the one that is parked."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One saga that can begin: the world holds what it needs.

    `names` are the ids that no other run has, each with what it stands for; bank and carrier know
    the saga by some of them.
    """

    id: str
    input: Any
    saga: Saga
    names: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`corrections` are the steps whose input a person may correct, each with how: the corrected
    command has the same effect, so that what is kept can be compared.
    """

    prepare: Callable[[World], Awaitable[Subject]]
    corrections: Mapping[str, Correction] = field(default_factory=dict)

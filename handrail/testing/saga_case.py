"""What a team declares of one of its sagas, so that the harness can run every failure on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from handrail.kernel import Command
from handrail.sagas.definition import Saga
from handrail.testing.books import Aggregate
from handrail.testing.companies import Companies, NoCompanies

Correction = Callable[[Any], Command]
"""The corrected command, from the one that is parked."""
Refused = Callable[[Any], Command]
"""A command that the business or another company refuses, from the one that a saga sends."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One saga that can begin: the environment holds what it needs.

    `names` are the ids that no other run has, each with what it stands for; other companies know
    the saga by some of them.
    """

    id: str
    input: Any
    saga: Saga
    names: Mapping[str, str]


def _no_companies(_: Any) -> Companies:
    return NoCompanies()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One saga of a team, for the harness; `case_of` makes it from a SagaType.

    `example` is the saga of some input: its steps are the same for every input. `prepare` makes an
    environment ready for one with fresh ids. `aggregates` are those that must look as before after
    a rollback, by the category of their streams: all that the saga writes to. `companies` are those
    that its activities ask. `corrections` are the steps whose input a person may correct, each with
    how: the corrected command has the same effect, so that what is kept can be compared.
    `refusals` are the steps that the business or another company can be made to refuse, each with
    how. `changes_nothing` are steps that find all done already, so that they are not taken back.
    """

    workflow: type[Any]
    example: Callable[[], Saga]
    prepare: Callable[[Any], Awaitable[Subject]]
    aggregates: Mapping[str, Aggregate]
    companies: Callable[[Any], Companies] = _no_companies
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    refusals: Mapping[str, Refused] = field(default_factory=dict)
    changes_nothing: frozenset[str] = frozenset()

    @cached_property
    def saga(self) -> Saga:
        """The example, made once."""
        return self.example()

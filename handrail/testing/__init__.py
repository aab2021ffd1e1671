"""Tests of sagas and deciders: the failure harness, the scenario DSL, faults, servers.

A team writes one case for each of its sagas, and one line that makes the tests, which pytest runs
with `-p handrail.testing.plugin`:

    CASES = {"BookTrip": case_of(book_trip.SAGA, inputs=a_trip, aggregates={…})}
    test_no_failure_leaves_a_saga_half_done = sagas_through_every_failure(business_of(APP), CASES)

Each name is imported when it is first used: the tests of a decider need no Temporal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from handrail.testing.app_business import business_of as business_of
    from handrail.testing.app_case import case_of as case_of
    from handrail.testing.books import Aggregate as Aggregate
    from handrail.testing.books import unless_status as unless_status
    from handrail.testing.commands import execute_command as execute_command
    from handrail.testing.companies import Companies as Companies
    from handrail.testing.companies import NoCompanies as NoCompanies
    from handrail.testing.companies import Stand as Stand
    from handrail.testing.coverage import SagaCoverage as SagaCoverage
    from handrail.testing.environment import Business as Business
    from handrail.testing.environment import Environment as Environment
    from handrail.testing.environment import Opened as Opened
    from handrail.testing.environment import Servers as Servers
    from handrail.testing.environment import open_environment as open_environment
    from handrail.testing.failure import Failure as Failure
    from handrail.testing.faults import Fault as Fault
    from handrail.testing.faults import Faults as Faults
    from handrail.testing.saga_case import Case as Case
    from handrail.testing.saga_case import Subject as Subject
    from handrail.testing.saga_environments import (
        sagas_through_every_failure as sagas_through_every_failure,
    )
    from handrail.testing.saga_matrix import MatrixCase as MatrixCase
    from handrail.testing.saga_matrix import in_turn as in_turn
    from handrail.testing.saga_matrix import matrix as matrix
    from handrail.testing.scenario import Keyed as Keyed
    from handrail.testing.scenario import Scenario as Scenario
    from handrail.testing.trial import Trial as Trial
    from handrail.testing.trial import a_trial as a_trial
    from handrail.testing.trial import undisturbed as undisturbed

_MODULE_OF: Final = {
    "Aggregate": "books",
    "Business": "environment",
    "Case": "saga_case",
    "Companies": "companies",
    "Environment": "environment",
    "Failure": "failure",
    "Fault": "faults",
    "Faults": "faults",
    "Keyed": "scenario",
    "MatrixCase": "saga_matrix",
    "NoCompanies": "companies",
    "Opened": "environment",
    "SagaCoverage": "coverage",
    "Scenario": "scenario",
    "Servers": "environment",
    "Stand": "companies",
    "Subject": "saga_case",
    "Trial": "trial",
    "a_trial": "trial",
    "business_of": "app_business",
    "case_of": "app_case",
    "execute_command": "commands",
    "in_turn": "saga_matrix",
    "matrix": "saga_matrix",
    "open_environment": "environment",
    "sagas_through_every_failure": "saga_environments",
    "undisturbed": "trial",
    "unless_status": "books",
}
PUBLIC: Final = tuple(_MODULE_OF)
"""The names that a team may import from here."""

# What they assert is explained as in a test, wherever they are imported first.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "alone",
            "attempts",
            "clean_slate",
            "compensation_failures",
            "failures",
            "interventions",
            "lost_tasks",
            "saga_matrix",
            "pairs",
            "running_saga",
            "scenario",
            "trial",
        )
    )
)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"handrail.testing has no name {name}: it has {', '.join(PUBLIC)}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

"""Every failure of a team's sagas as tests, and the environments that they run in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.testing.books import Books
from handrail.testing.coverage import SagaCoverage
from handrail.testing.environment import Business, Environment, open_environment
from handrail.testing.saga_case import Case
from handrail.testing.saga_matrix import MatrixCase
from handrail.testing.side_by_side import side_by_side
from handrail.testing.trial import undisturbed

TEMPLATE: Final = "saga_template"
"""The database with the library's tables that each business gets a copy of."""
# A worker warns when a try that has just ended was to be cancelled; as an error that would kill it.
_HARMLESS: Final = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")

Test = Callable[..., Awaitable[None]]


def sagas_through_every_failure(business: Business, cases: Mapping[str, Case]) -> Test:
    """The test of all sagas of a business: a test for each case of their matrix.

    They run side by side, on one store and one Temporal server.
    """

    async def run(saga_environments: SagaEnvironments, saga_case: MatrixCase) -> None:
        await saga_environments.run(business, saga_case)

    test = side_by_side(run)
    vars(test)["saga_cases"] = dict(cases)
    on_one_loop: Test = pytest.mark.asyncio(loop_scope="session")(_HARMLESS(test))
    return on_one_loop


@dataclass(eq=False)
class SagaEnvironments:
    """The environment of each business, with workers, opened when its first case is run."""

    postgres: EmbeddedPostgres
    temporal: WorkflowEnvironment
    coverage: SagaCoverage
    stack: AsyncExitStack
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _opened: dict[int, asyncio.Task[Environment]] = field(default_factory=dict)
    _kept: dict[tuple[int, str], asyncio.Task[Books]] = field(default_factory=dict)

    async def run(self, business: Business, case: MatrixCase) -> None:
        """Raises AssertionError where the saga leaves anything half done."""
        environment = await self.of(business)
        key = (id(business), case.saga)
        if key not in self._kept:
            self._kept[key] = asyncio.create_task(undisturbed(environment, case.case))
        self.coverage.ran(case.id, await case.run(environment, await self._kept[key]))

    async def of(self, business: Business) -> Environment:
        if id(business) not in self._opened:
            self._opened[id(business)] = asyncio.create_task(self._open(business))
        return await self._opened[id(business)]

    async def _open(self, business: Business) -> Environment:
        name = f"sagas_{next(self._numbers)}"
        await administer(self.postgres.url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        await asyncio.to_thread(business.migrate, self.postgres.url_of(name))
        environment = await self.stack.enter_async_context(
            open_environment(business, self.postgres.url_of(name), self.temporal)
        )
        await self.stack.enter_async_context(environment.at_work())
        return environment


async def administer(url: str, statement: str) -> None:
    """Run one statement, outside any transaction."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)

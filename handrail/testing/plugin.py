"""A pytest plugin: every failure at every step of a team's sagas, on servers that it starts.

    test_no_failure_leaves_a_saga_half_done = sagas_through_every_failure(BUSINESS, CASES)

Each failure runs once at each step; with `--saga-matrix` in every variant and in pairs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg
import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import FLAGS, SEARCH_ATTRIBUTES, server_program
from handrail.testing.books import Books
from handrail.testing.coverage import SagaCoverage
from handrail.testing.coverage_page import coverage_page
from handrail.testing.coverage_table import printed
from handrail.testing.environment import Business, Environment, open_environment
from handrail.testing.matrix import MatrixCase, in_turn, matrix
from handrail.testing.saga_case import Case
from handrail.testing.side_by_side import side_by_side
from handrail.testing.trial import undisturbed

_TEMPLATE: Final = "saga_template"
_COVERAGE: Final = pytest.StashKey[SagaCoverage]()
_SENT: Final = "saga_coverage"
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
        await _administer(self.postgres.url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        environment = await self.stack.enter_async_context(
            open_environment(business, self.postgres.url_of(name), self.temporal)
        )
        await self.stack.enter_async_context(environment.at_work())
        return environment


# Servers.


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server of its own, in a folder that goes with it, with a migrated database to copy."""
    from handrail.eventstore.migrations import upgrade  # noqa: PLC0415  # only who asks needs it

    with TemporaryDirectory(prefix="saga-tests-") as folder:
        server = EmbeddedPostgres(Path(folder))
        await server.start()
        try:
            await _administer(server.url, "ALTER SYSTEM SET fsync = off")
            await _administer(server.url, "SELECT pg_reload_conf()")
            await _administer(server.url, f"CREATE DATABASE {_TEMPLATE}")
            await asyncio.to_thread(upgrade, server.url_of(_TEMPLATE), "handrail_app")
            yield server
        finally:
            await server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A development server on which every workflow has its own clock, which skips idle time."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=server_program(),
        dev_server_extra_args=FLAGS,
        dev_server_log_level="error",
        search_attributes=SEARCH_ATTRIBUTES,
    ) as environment:
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_environments(
    pytestconfig: pytest.Config,
    saga_postgres: EmbeddedPostgres,
    saga_temporal: WorkflowEnvironment,
) -> AsyncIterator[SagaEnvironments]:
    async with AsyncExitStack() as stack:
        coverage = pytestconfig.stash[_COVERAGE]
        yield SagaEnvironments(saga_postgres, saga_temporal, coverage, stack)


async def _administer(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)


# Options, and what pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sagas", "failures of sagas")
    group.addoption(
        "--saga-matrix",
        action="store_true",
        help="run every failure in all its variants, on local and queued steps, and in pairs",
    )
    group.addoption(
        "--saga-coverage",
        action="store_true",
        help="show which failures were run at which steps of which saga",
    )
    group.addoption(
        "--saga-coverage-html",
        metavar="FILE",
        type=Path,
        help="write the coverage of all cells as one HTML file",
    )
    group.addoption(
        "--saga-coverage-fail-under",
        metavar="PERCENT",
        type=_percent,
        help="fail where less than this of the applicable cells were run",
    )


def _percent(text: str) -> float:
    percent = float(text)
    if not 0 <= percent <= 100:
        raise ValueError(text)
    return percent


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_COVERAGE] = SagaCoverage()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sagas: Mapping[str, Case] | None = getattr(metafunc.function, "saga_cases", None)
    if sagas is None:
        return
    everything = metafunc.config.getoption("--saga-matrix")
    selected: list[MatrixCase] = []
    for name, case in sagas.items():
        cases = list(matrix(name, case, pairs=everything))
        metafunc.config.stash[_COVERAGE].add(cases)
        selected += [one for one in cases if one.is_applicable] if everything else in_turn(cases)
    metafunc.parametrize("saga_case", selected, ids=[one.id for one in selected])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of pytest-xdist has ended: what it ran adds up with the others."""
    if sent := getattr(node, "workeroutput", {}).get(_SENT):
        node.config.stash[_COVERAGE].merge(sent)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    coverage = session.config.stash[_COVERAGE]
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_SENT] = coverage.data()
        return
    if page := session.config.getoption("--saga-coverage-html"):
        page.write_text(coverage_page(coverage), encoding="utf-8")
    if _too_little(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    coverage = config.stash[_COVERAGE]
    if not _wanted(config) or not coverage.matrix:
        return
    terminalreporter.section("saga coverage")
    terminalreporter.write(printed(coverage))
    if page := config.getoption("--saga-coverage-html"):
        terminalreporter.write_line(f"all cells: {page}")
    if said := _too_little(config):
        terminalreporter.write_line(said, red=True)


def _wanted(config: pytest.Config) -> bool:
    options: Sequence[str] = ("", "-html", "-fail-under")
    values = [config.getoption(f"--saga-coverage{option}") for option in options]
    return any(value not in {None, False} for value in values)


def _too_little(config: pytest.Config) -> str:
    """What to say where less was run than was asked for."""
    least: float | None = config.getoption("--saga-coverage-fail-under")
    percent = config.stash[_COVERAGE].percent
    if least is None or percent >= least:
        return ""
    return f"FAIL: saga coverage is {percent:.1f} %, and {least:g} % are required"

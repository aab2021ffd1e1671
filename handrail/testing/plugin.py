"""A pytest plugin: every failure at every step of a team's sagas, on servers that it starts.

    test_no_failure_leaves_a_saga_half_done = sagas_through_every_failure(BUSINESS, CASES)

Each failure runs once at each step; with `--saga-matrix` in every variant and in pairs. It is
loaded with `-p handrail.testing.plugin`, best in `addopts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from handrail.dev.postgres import EmbeddedPostgres
    from handrail.testing.coverage import SagaCoverage
    from handrail.testing.saga_case import Case
    from handrail.testing.saga_environments import SagaEnvironments
    from handrail.testing.saga_matrix import MatrixCase

# It is loaded at every start of pytest: what takes time to import is imported when it is needed.
# ruff: noqa: PLC0415

_COVERAGE: Final = pytest.StashKey["SagaCoverage"]()
_SENT: Final = "saga_coverage"
_ALL: Final = 100.0  # percent


# Servers.


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server of its own, in a folder that goes with it, with a migrated database to copy."""
    from handrail.dev.postgres import EmbeddedPostgres
    from handrail.migrations import upgrade
    from handrail.testing.database_copies import to_be_copied
    from handrail.testing.saga_environments import TEMPLATE, administer

    with TemporaryDirectory(prefix="saga-tests-") as folder:
        server = EmbeddedPostgres(Path(folder))
        await server.start()
        try:
            await administer(server.url, "ALTER SYSTEM SET fsync = off")
            await administer(server.url, "SELECT pg_reload_conf()")
            await administer(server.url, f"CREATE DATABASE {TEMPLATE}")
            await asyncio.to_thread(upgrade, server.url_of(TEMPLATE), "handrail_app")
            await to_be_copied(server.url_of(TEMPLATE))
            yield server
        finally:
            await server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A development server on which every workflow has its own clock, which skips idle time."""
    from handrail.testing.temporal_server import time_skipping_server

    async with await time_skipping_server(_tenant_words()) as environment:
        yield environment


def _tenant_words() -> Sequence[str]:
    """Of the App of this folder, where there is one, and of sagas that are tested without one."""
    from handrail.load_app import app_if_any
    from handrail.tenant_word import STORED_WORD, TENANT_WORD

    app = app_if_any()
    return (*([app.tenant] if app else []), TENANT_WORD, STORED_WORD)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def saga_environments(
    pytestconfig: pytest.Config,
    saga_postgres: EmbeddedPostgres,
    saga_temporal: WorkflowEnvironment,
) -> AsyncIterator[SagaEnvironments]:
    from handrail.testing.saga_environments import SagaEnvironments

    async with AsyncExitStack() as stack:
        yield SagaEnvironments(saga_postgres, saga_temporal, _coverage(pytestconfig), stack)


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
    if not 0 <= percent <= _ALL:
        raise ValueError(text)
    return percent


def _coverage(config: pytest.Config) -> SagaCoverage:
    """Of this run of pytest."""
    from handrail.testing.coverage import SagaCoverage

    return config.stash.setdefault(_COVERAGE, SagaCoverage())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sagas: Mapping[str, Case] | None = getattr(metafunc.function, "saga_cases", None)
    if sagas is None:
        return
    from handrail.testing.saga_matrix import in_turn, matrix

    everything = metafunc.config.getoption("--saga-matrix")
    selected: list[MatrixCase] = []
    for name, case in sagas.items():
        cases = list(matrix(name, case, pairs=everything))
        _coverage(metafunc.config).add(cases)
        selected += [one for one in cases if one.is_applicable] if everything else in_turn(cases)
    metafunc.parametrize("saga_case", selected, ids=[one.id for one in selected])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of pytest-xdist has ended: what it ran adds up with the others."""
    if sent := getattr(node, "workeroutput", {}).get(_SENT):
        _coverage(node.config).merge(sent)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    coverage = session.config.stash.get(_COVERAGE, None)
    if coverage is None and not _wanted(session.config):
        return
    coverage = coverage or _coverage(session.config)
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_SENT] = coverage.data()
        return
    if page := session.config.getoption("--saga-coverage-html"):
        from handrail.testing.coverage_page import coverage_page

        page.write_text(coverage_page(coverage), encoding="utf-8")
    if _too_little(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    coverage = config.stash.get(_COVERAGE, None)
    if not _wanted(config) or coverage is None or not coverage.matrix:
        return
    from handrail.testing.coverage_table import printed

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
    if least is None:
        return ""
    percent = _coverage(config).percent
    if percent >= least:
        return ""
    return f"FAIL: saga coverage is {percent:.1f} %, and {least:g} % are required"

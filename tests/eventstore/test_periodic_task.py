"""Periodic tasks: after an error the next round tries again, until the task is cancelled."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from handrail.background import background_tasks
from handrail.eventstore.identity import OtherStore
from handrail.eventstore.periodic_task import run_periodically

_log = structlog.get_logger(__name__)


class Rounds:
    """Work whose first round ends in `error`; `done` after three rounds."""

    def __init__(self, error: Exception) -> None:
        self.count = 0
        self.done = asyncio.Event()
        self._error = error

    async def __call__(self) -> None:
        self.count += 1
        if self.count == 1:
            raise self._error
        if self.count == 3:
            self.done.set()


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (psycopg.OperationalError("away"), ["rows not deleted"]),
        (ValueError("a mistake"), ["rows not deleted"]),
        (OtherStore("the pool logs it"), []),
    ],
)
async def test_after_an_error_the_next_round_tries_again(
    error: Exception, logged: list[str]
) -> None:
    rounds = Rounds(error)
    with capture_logs() as logs:
        async with background_tasks(run_periodically(rounds, 0.0, _log, "rows not deleted")):
            await asyncio.wait_for(rounds.done.wait(), 10)
    assert [line["event"] for line in logs] == logged


async def test_a_task_ends_though_its_cancelled_statement_ended_in_an_ordinary_error() -> None:
    begun, rounds = asyncio.Event(), []

    async def statement() -> None:
        rounds.append("begun")
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise psycopg.OperationalError("the connection is closed") from None

    task = asyncio.create_task(run_periodically(statement, 0.0, _log, "rows not deleted"))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    assert rounds == ["begun"]

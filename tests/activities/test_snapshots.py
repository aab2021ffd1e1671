"""A kept state is used by the fold that made it, and by no other: two releases, side by side."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from domain.credit.commands import AssignLimit
from domain.credit.events import LimitAssigned
from handrail.activities.command_handler import SNAPSHOT_EVERY, CommandHandler, single_stream
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import EventStore
from handrail.sagas.step_keys import StepContext, StepKey
from runtime.app import HANDRAIL
from tests.controls import a_customer, eur, readable_id
from tests.statements import statements_of

CUSTOMER: Final = a_customer()
LINE: Final = f"credit-{CUSTOMER}"

RELEASE: Final = """
from dataclasses import dataclass, replace

from domain.credit.events import CreditEvent


@dataclass(frozen=True)
class Counted:
    cents: int = 0


def evolve(state: Counted, event: CreditEvent) -> Counted:
    # what an event counts
    return replace(state, cents=state.cents + STEP(event))


def STEP(event):
    return 1
"""
MENDED: Final = RELEASE.replace("return 1", "return 2")

Release = Callable[[str], "Process"]


class Process:
    """Of one release, with a memory of its own; it notes the state that it decided upon."""

    def __init__(self, store: EventStore, release: ModuleType) -> None:
        self.seen: list[int] = []
        self.handler: CommandHandler[Any] = CommandHandler(
            store,
            single_stream(
                "credit",
                release.Counted(),
                lambda message: message.customer,
                self._decide,
                release.evolve,
            ),
        )

    def _decide(self, command: AssignLimit, state: Any) -> Sequence[LimitAssigned]:
        self.seen.append(state.cents)
        return [LimitAssigned(customer=CUSTOMER, limit=command.limit, held=eur(0), used=eur(0))]

    async def counts(self) -> int:
        """The state that it folds, or had kept."""
        key = StepKey(
            saga=readable_id("saga"), attempt=1, step="AssignLimit", opened_on=date(2026, 3, 2)
        )
        command = AssignLimit(customer=CUSTOMER, limit=eur(1))
        await self.handler.handle(command, StepContext(key=key, actor="tests", alone=True))
        return self.seen[-1]


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database, role="handrail_app") as one:
        yield one


@pytest.fixture
def release(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Starts a process of a release with this source; its module has the same name in each."""
    store = EventStore(pool, HANDRAIL.codec)

    def start(source: str) -> Process:
        path = tmp_path / "counted.py"
        path.write_text(source)
        module = ModuleType("counted")
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "counted", module)
        exec(compile(path.read_text(), path, "exec"), module.__dict__)
        return Process(store, module)

    return start


async def _rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def _filled(process: Process, pool: Pool, events: int) -> None:
    """The stream is so long, and the process has handled the last command of it."""
    store = EventStore(pool, HANDRAIL.codec)
    there = (await store.load({LINE: 0}))[LINE].version
    one = LimitAssigned(customer=CUSTOMER, limit=eur(1), held=eur(0), used=eur(0))
    await store.append([(LINE, there, [one] * (events - 1 - there))])
    await process.counts()


async def test_a_mended_line_of_a_fold_folds_all_events_again(release: Release, pool: Pool) -> None:
    await _filled(release(RELEASE), pool, SNAPSHOT_EVERY)
    assert await release(MENDED).counts() == 2 * SNAPSHOT_EVERY


async def test_a_comment_or_an_empty_line_leaves_kept_states_in_use(
    release: Release, pool: Pool
) -> None:
    await _filled(release(RELEASE), pool, SNAPSHOT_EVERY)
    await _rows_are_wrong_on_purpose(pool)
    commented = RELEASE.replace("# what an event counts", "# one for each\n\n")
    assert await release(commented).counts() == -1


async def _rows_are_wrong_on_purpose(pool: Pool) -> None:
    """So what is read from one is told from what was folded."""
    async with pool.connection() as connection:
        changed = await connection.execute("UPDATE state_snapshots SET state = '{\"cents\": -1}'")
        assert changed.rowcount == 1


async def test_two_releases_in_turns_keep_a_state_each_and_use_their_own(
    release: Release, pool: Pool
) -> None:
    for hundreds in (1, 2):
        await _filled(release(RELEASE), pool, 200 * hundreds - 100)
        await _filled(release(MENDED), pool, 200 * hundreds)
    kept = await _rows(
        pool, "SELECT version, (state ->> 'cents')::int FROM state_snapshots ORDER BY version"
    )
    assert kept == [(300, 300), (400, 800)]
    assert [await release(one).counts() for one in (RELEASE, MENDED)] == [400, 802]


async def test_the_state_of_the_release_before_the_last_goes_when_a_third_comes(
    release: Release, pool: Pool
) -> None:
    third = RELEASE.replace("return 1", "return 3")
    for number, source in enumerate((RELEASE, MENDED, third), start=1):
        await _filled(release(source), pool, 100 * number)
    kept = await _rows(
        pool, "SELECT version, (state ->> 'cents')::int FROM state_snapshots ORDER BY version"
    )
    assert kept == [(200, 400), (300, 900)]


async def test_a_load_and_a_kept_state_are_one_statement_each(
    release: Release, pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _filled(release(RELEASE), pool, SNAPSHOT_EVERY - 1)
    process = release(MENDED)
    sent = statements_of(database, monkeypatch)
    await process.counts()
    assert [one.split()[1] for one in sent if "load_states" in one] == ["*"]
    assert len(sent) == 3, sent  # load, append, keep


async def test_a_fold_that_cannot_be_walked_through_is_served_without_kept_states(
    release: Release, pool: Pool
) -> None:
    silent = (
        RELEASE
        + """

class Silent:
    @property
    def __wrapped__(self):
        raise RuntimeError("not to be asked")


STEP.__defaults__ = (Silent(),)
"""
    )
    await _filled(release(silent), pool, SNAPSHOT_EVERY)
    assert await _rows(pool, "SELECT * FROM state_snapshots") == []
    assert await release(silent).counts() == SNAPSHOT_EVERY

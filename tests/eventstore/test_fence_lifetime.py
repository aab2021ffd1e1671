"""A row of the fence lives as long as anything may ask for it, however old its attempt is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import pytest

from domain.identifiers import MerchantId
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.kernel import Money
from handrail.sagas.events import SagaEnded, SagaEvent, SagaStarted
from handrail.sagas.step_keys import StepContext, StepKey
from runtime.app import HANDRAIL
from tests.eventstore.interleaving import Lab, notes, store_over

Status = Literal["appended", "repeated"]
MAINTAIN = "SELECT maintain_partitions(1000000, interval '1 year')"


@pytest.fixture
def lab(own_lab: Lab) -> Lab:
    return own_lab


def days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


def context(saga: str, opened_on: date, step: str = "A", attempt: int = 1) -> StepContext:
    key = StepKey(saga=saga, attempt=attempt, step=step, opened_on=opened_on)
    return StepContext(key=key, actor="tests", alone=True)


def started(saga: str, attempt: int = 1) -> SagaEvent:
    return SagaStarted(
        saga=saga,
        saga_type="checkout",
        shape=1,
        attempt=attempt,
        tenant=MerchantId("m"),
        at_stake=Money(1, "EUR"),
        actor="tests",
    )


def ended(saga: str, attempt: int = 1) -> SagaEvent:
    return SagaEnded(saga=saga, attempt=attempt, ending="completed", because="", reason="")


async def ask(lab: Lab, saga: str, opened_on: date, step: str = "A", attempt: int = 1) -> Status:
    """Have the step done, or hear that it was."""
    store = await lab.store()
    asked = context(saga, opened_on, step, attempt)
    return (await store.append([(f"a-{saga}", ANY_VERSION, notes(1))], context=asked)).status


async def tell(lab: Lab, saga: str, *events: SagaEvent) -> None:
    store: EventStore = store_over(await lab.connect(autocommit=True), HANDRAIL.codec)
    await store.append([(f"saga-{saga}", ANY_VERSION, events)])


async def month(lab: Lab, day: date) -> str:
    """Make the partition of this day's month."""
    name = f"commands_{day:%Y_%m}"
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    assert await lab.value(
        "SELECT attach_partition('commands', %s, %s, %s)", name, str(first), str(following)
    )
    return name


async def written_long_ago(lab: Lab, days: int) -> None:
    """As if all that was written to the fence so far had been so many days ago."""
    await lab.sql.execute("UPDATE long_attempts SET written_on = current_date - %s", [days])


@pytest.mark.thorough
@pytest.mark.parametrize("days", [397, 500, 720, 2000])
@pytest.mark.parametrize("has_month", [True, False], ids=["in its month", "in no month"])
async def test_what_a_process_did_lately_is_kept_however_long_ago_it_began(
    lab: Lab, *, days: int, has_month: bool
) -> None:
    opened_on = days_ago(days)
    if has_month:
        await month(lab, opened_on)
    assert await ask(lab, "plan-1", opened_on) == "appended"
    for _ in range(3):
        await lab.value(MAINTAIN)
    assert await ask(lab, "plan-1", opened_on) == "repeated"


@pytest.mark.parametrize("has_month", [True, False], ids=["in its month", "in no month"])
async def test_the_rows_of_a_saga_that_has_not_ended_are_kept_for_ever(
    lab: Lab, *, has_month: bool
) -> None:
    opened_on = days_ago(3000)
    if has_month:
        await month(lab, opened_on)
    await tell(lab, "open-1", started("open-1"))
    await ask(lab, "open-1", opened_on)
    await lab.sql.execute("DELETE FROM long_attempts")  # as of before there was this table
    for _ in range(3):
        await lab.value(MAINTAIN)
    assert await ask(lab, "open-1", opened_on) == "repeated"


@pytest.mark.parametrize("has_month", [True, False], ids=["in its month", "in no month"])
async def test_the_rows_of_a_saga_that_has_ended_go_a_while_after_its_last_one(
    lab: Lab, *, has_month: bool
) -> None:
    opened_on = days_ago(800)
    if has_month:
        await month(lab, opened_on)
    await tell(lab, "late-1", started("late-1"), ended("late-1"))
    await ask(lab, "late-1", opened_on)
    await written_long_ago(lab, 300)
    await lab.value(MAINTAIN)
    assert await lab.value("SELECT count(*) FROM commands") == 1

    await written_long_ago(lab, 367)
    await lab.value(MAINTAIN)

    assert await lab.value("SELECT count(*) FROM commands") == 0
    assert await lab.value("SELECT count(*) FROM long_attempts") == 0


async def test_an_attempt_that_a_later_one_has_cleared_up_asks_no_more(lab: Lab) -> None:
    opened_on = days_ago(800)
    await tell(lab, "s-1", started("s-1"), started("s-1", 2), ended("s-1", 2))
    await tell(lab, "t-1", started("t-1"), ended("t-1"), started("t-1", 2))
    for saga in ("s-1", "t-1"):
        for attempt in (1, 2):
            await ask(lab, saga, opened_on, attempt=attempt)
    await written_long_ago(lab, 400)
    await lab.value(MAINTAIN)
    assert await lab.rows("SELECT saga, attempt FROM commands") == [("t-1", 2)]


async def test_what_no_saga_knows_goes_three_years_after_its_last_late_row(lab: Lab) -> None:
    opened_on = days_ago(2000)
    await ask(lab, "plan-1", opened_on)
    await written_long_ago(lab, 1090)
    await lab.value(MAINTAIN)
    assert await lab.value("SELECT count(*) FROM commands") == 1
    await written_long_ago(lab, 1100)
    await lab.value(MAINTAIN)
    assert await lab.value("SELECT count(*) FROM commands") == 0


async def test_an_old_month_goes_whole_but_for_what_may_still_be_asked(lab: Lab) -> None:
    opened_on = days_ago(800)
    name = await month(lab, opened_on)
    await lab.sql.execute(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        " SELECT %s, 's-' || n, 1, step, 'do', '{}' FROM generate_series(1, 300) n,"
        " (VALUES ('A'), ('B')) AS s (step)",
        [opened_on],
    )
    await tell(lab, "s-7", started("s-7"))
    await lab.value(MAINTAIN)
    assert await lab.value("SELECT to_regclass(%s)", name) is None
    assert await lab.rows("SELECT saga, step FROM commands ORDER BY step") == [
        ("s-7", "A"),
        ("s-7", "B"),
    ]


async def test_what_is_written_while_a_month_waits_to_be_dropped_is_kept(lab: Lab) -> None:
    """Its attempt was looked at, and had nothing to ask any more; now it did."""
    opened_on = days_ago(800)
    name = await month(lab, opened_on)
    await ask(lab, "plan-1", opened_on, "before")
    await written_long_ago(lab, 1500)
    holding = await lab.writer()
    await holding.connection.execute("LOCK TABLE commands IN ROW EXCLUSIVE MODE")
    await lab.value(MAINTAIN)
    assert await lab.value("SELECT finished FROM fence_walks WHERE partition = %s", name)

    await ask(lab, "plan-1", opened_on, "after")
    await holding.commit()
    await lab.value(MAINTAIN)

    assert await lab.value("SELECT to_regclass(%s)", name) is None
    assert await ask(lab, "plan-1", opened_on, "after") == "repeated"


async def test_a_call_looks_at_so_many_attempts_and_the_next_goes_on(lab: Lab) -> None:
    opened_on = days_ago(800)
    name = await month(lab, opened_on)
    await lab.sql.execute(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        " SELECT %s, 's-' || n, 1, 'A', 'do', '{}' FROM generate_series(1, 4500) n",
        [opened_on],
    )
    left = []
    for _ in range(3):
        await lab.value(MAINTAIN)
        left.append(await lab.value("SELECT to_regclass(%s)::text", name))
    assert left == [name, name, None]


async def test_a_month_in_which_too_many_may_ask_stays(lab: Lab) -> None:
    opened_on = days_ago(800)
    name = await month(lab, opened_on)
    await lab.sql.execute(
        "WITH s AS (INSERT INTO streams SELECT 'saga-s-' || n, 1 FROM generate_series(1, 1001) n)"
        " INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        " SELECT %s, 's-' || n, 1, 'A', 'do', '{}' FROM generate_series(1, 1001) n",
        [opened_on],
    )
    for _ in range(3):
        await lab.value(MAINTAIN)
    assert await lab.value("SELECT to_regclass(%s)::text", name) == name
    assert await lab.value("SELECT count(*) FROM commands") == 1001


async def test_a_step_of_today_is_not_noted(lab: Lab) -> None:
    """That would be one more row in nearly every append."""
    await ask(lab, "s-1", days_ago(0))
    await ask(lab, "s-2", days_ago(2))
    await ask(lab, "s-3", days_ago(3))
    assert await lab.rows("SELECT saga FROM long_attempts") == [("s-3",)]


async def test_two_late_steps_of_an_attempt_do_not_wait_for_each_other(lab: Lab) -> None:
    one, two = await lab.writers(2)
    for number, writer in enumerate((one, two)):
        asked = context("s-1", days_ago(100), f"step-{number}")
        await writer.append(f"a-{number}", context=asked)
    await one.commit()
    await two.commit()
    assert await lab.value("SELECT count(*) FROM commands") == 2


async def test_the_fence_is_kept_for_a_month_at_least(lab: Lab) -> None:
    with pytest.raises(Exception, match="for a month at least"):
        await lab.value("SELECT maintain_partitions(1000000, interval '1 day')")

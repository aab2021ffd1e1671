"""The figures of sagas: what a story adds, and totals that are right whatever happens to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.identifiers import OrderId
from handrail.kernel import Event
from handrail.projections import saga_board, saga_figures
from handrail.projections.projection import Projection
from handrail.projections.rebuild import rebuild
from handrail.projections.saga_figures import BUCKETS, GAUGES, LABELS, SagaTally, adds
from handrail.projections.totals import Key, changes
from handrail.sagas.events import (
    SagaDecided,
    StepAnswered,
    StepCompensated,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from runtime.app import HANDRAIL
from tests.inputs import inputs
from tests.projections import folds
from tests.projections.folds import at, told
from tests.projections.stories import Shop
from tests.projections.test_saga_board import (
    FIRST,
    GOING_BACK,
    awaited,
    done,
    ended,
    parked,
    resumed,
    started,
)
from tests.projections.world import ROLE, World, until

PROJECTION: Projection[SagaTally] = {one.name: one for one in HANDRAIL.read_models}[
    saga_figures.NAME
]
after = partial(folds.after, PROJECTION)
YES = SagaDecided(**FIRST, approved=True, because="", reason="")


def counted(row: SagaTally, figure: str) -> Mapping[tuple[str, ...], int]:
    return {labels[1:]: count for (name, labels), count in adds(row).items() if name == figure}


def test_a_saga_counts_once_from_its_beginning_to_its_end() -> None:
    row = after(started(), done("A"), YES, ended("completed"))

    assert counted(row, "started") == {(): 1}
    assert counted(row, "ended") == {("completed",): 1}
    assert counted(row, "standing") == {("completed",): 1}
    assert counted(row, "turned_back") == {}
    assert counted(row, "attempts") == {}


def test_each_step_is_counted_by_how_it_went() -> None:
    row = after(
        started(),
        done("A"),
        StepUnknown(**FIRST, step="B", direction="do", cause="silence"),
        StepFailed(**FIRST, step="C", cause="bug"),
        StepRefused(**FIRST, step="D", outcome="No", reason=""),
        GOING_BACK,
        StepCompensated(**FIRST, step="A", outcome="Undone"),
    )

    assert counted(row, "steps") == {
        ("A", "done"): 1,
        ("B", "unknown"): 1,
        ("C", "failed"): 1,
        ("D", "refused"): 1,
        ("A", "compensated"): 1,
    }


def test_what_waits_is_shown_while_it_waits_and_stays_counted() -> None:
    waits = after(started(), parked("A"), parked("B"), awaited("C"))
    goes_on = after(started(), parked("A"), parked("B"), awaited("C"), resumed("A"), GOING_BACK)

    assert counted(waits, "waiting") == {("A",): 1, ("B",): 1}
    assert (counted(waits, "awaiting"), waits.parked_since) == ({(): 1}, at(2))
    assert (counted(goes_on, "waiting"), counted(goes_on, "awaiting")) == ({}, {})
    assert goes_on.parked_since is None
    assert counted(goes_on, "parked") == {("A",): 1, ("B",): 1}
    assert counted(goes_on, "interventions") == {("retry",): 1}


def test_what_was_done_without_anybody_is_not_parked_any_more() -> None:
    row = after(started(), parked("A"), awaited("B"), done("A"))

    assert counted(row, "waiting") == {}
    assert counted(row, "parked") == {("A",): 1}
    assert (row.status, row.parked_since) == ("awaiting", None)


def test_nothing_waits_in_a_saga_that_has_ended() -> None:
    row = after(started(), ended("completed"), parked("A"), awaited("B"))

    assert (counted(row, "waiting"), counted(row, "awaiting")) == ({}, {})
    assert (row.status, row.parked_since) == ("completed", None)


@pytest.mark.parametrize(
    ("because", "label"),
    [("CreditRefused", "CreditRefused"), ("cancelled", "cancelled"), ("HTTP 500 from x", "other")],
)
def test_why_sagas_turn_back_is_counted_under_few_names(because: str, label: str) -> None:
    row = after(started(), GOING_BACK, ended("refused", because))

    assert counted(row, "turned_back") == {(label,): 1}


def test_a_refusal_that_the_business_does_not_have_makes_no_label_of_its_own() -> None:
    of_trips = partial(folds.after, saga_figures.projection(["SeatTaken"]))

    known = of_trips(started(), GOING_BACK, ended("refused", "SeatTaken"))
    unknown = of_trips(started(), GOING_BACK, ended("refused", "CreditRefused"))

    assert counted(known, "turned_back") == {("SeatTaken",): 1}
    assert counted(unknown, "turned_back") == {("other",): 1}


def test_the_clock_runs_from_the_beginning_to_the_decision_and_to_the_end() -> None:
    completed = after(started(), done("A"), YES, done("B"), ended("completed"))
    refused = after(started(), GOING_BACK, ended("refused", "CreditRefused"))

    assert counted(completed, "seconds") == {("decision", "2.5"): 1, ("completion", "5"): 1}
    assert counted(completed, "milliseconds") == {("decision",): 2000, ("completion",): 4000}
    assert counted(refused, "milliseconds") == {("compensation",): 2000}


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, "0.1"), (0.1, "0.1"), (0.11, "0.25"), (14 * 86_400, "1209600"), (15 * 86_400, "+Inf")],
)
def test_a_duration_falls_into_the_first_bucket_that_reaches_it(
    seconds: float, bucket: str
) -> None:
    first, second = told([started(), YES])
    late = replace(second, recorded_at=first.recorded_at + timedelta(seconds=seconds))
    row = PROJECTION.evolve(PROJECTION.evolve(None, first), late)

    assert row is not None
    assert counted(row, "seconds") == {("decision", bucket): 1}


def test_an_attempt_in_the_place_of_one_that_did_not_end_goes_on_with_its_clock() -> None:
    row = after(started(), YES, started(2), YES, ended("completed"))

    assert (counted(row, "started"), counted(row, "attempts")) == ({(): 1}, {(): 1})
    assert counted(row, "milliseconds") == {("decision",): 1000, ("completion",): 4000}


def test_what_had_ended_and_is_tried_again_begins_anew() -> None:
    once = (GOING_BACK, ended("refused", "CreditRefused"))
    row = after(started(), *once, started(2), YES, ended("completed"))

    assert (counted(row, "started"), counted(row, "attempts")) == ({(): 2}, {(): 1})
    assert counted(row, "ended") == {("refused",): 1, ("completed",): 1}
    assert counted(row, "milliseconds") == {
        ("compensation",): 2000,
        ("decision",): 1000,
        ("completion",): 2000,
    }


LATER: Sequence[Event] = (
    done("A"),
    StepRefused(**FIRST, step="B", outcome="No", reason=""),
    parked("A"),
    resumed("A"),
    awaited("B"),
    StepAnswered(**FIRST, step="B", approved=True, actor="rita", reason=""),
    YES,
    GOING_BACK,
    ended("refused", "CreditRefused"),
    ended("completed"),
    started(2),
)


@inputs(200)
@given(st.lists(st.sampled_from(LATER), max_size=12))
def test_counters_never_fall_and_name_their_labels(story: Sequence[Event]) -> None:
    row: SagaTally | None = None
    before: Counter[Key] = Counter()
    for one in told([started(), *story]):
        row = PROJECTION.evolve(row, one)
        assert row is not None
        now = Counter(adds(row))
        for figure, labels in before.keys() | now.keys():
            assert len(labels) == 1 + len(LABELS[figure])
            assert figure in GAUGES or now[figure, labels] >= before[figure, labels]
        before = now
    assert row
    begun, over = counted(row, "started"), counted(row, "ended")
    assert begun[()] - sum(over.values()) == (row.ending is None)


@pytest.mark.parametrize(
    "story",
    [
        [done("A")],
        [parked("A")],
        [parked("A"), resumed("A")],
        [awaited("A"), parked("B")],
        [parked("A"), awaited("B"), resumed("A")],
        [GOING_BACK],
        [GOING_BACK, parked("A", "undo"), resumed("A", "undo")],
        [done("A"), YES, ended("completed")],
        [GOING_BACK, ended("compensated", "cancelled")],
        [parked("A"), started(2)],
    ],
)
def test_a_saga_stands_as_it_does_on_the_board(story: Sequence[Event]) -> None:
    shown = folds.after(saga_board.projection("merchant"), started(), *story)

    assert after(started(), *story).status == shown.status


async def figures_of(connection: AsyncConnection, figure: str) -> Mapping[tuple[str, ...], int]:
    found = await saga_figures.figures(connection)
    return {labels: total for (name, labels), total in found.totals.items() if name == figure}


async def sagas(world: World, count: int = 12, first: int = 0) -> None:
    """Most are sold, every third is refused; ids lie in all kinds of shards."""
    shop = Shop()
    for number in range(first, first + count):
        order = OrderId(f"o{number}")
        story = shop.is_refused(order) if number % 3 == 0 else shop.sells(order)
        for stream, events in story:
            if stream.startswith("saga-"):
                await world.append(stream, *events)


async def summed(world: World) -> Mapping[Key, int]:
    """By the plainest means: what every row adds, that the events of the store make."""
    total: Counter[Key] = Counter()
    for row in (await world.folded(PROJECTION)).values():
        total.update(adds(SagaTally(**row)))
    return dict(total)


async def kept(world: World) -> Mapping[Key, int]:
    async with world.engine.connect() as connection:
        found = (await saga_figures.figures(connection)).totals
    return {key: total for key, total in found.items() if total}


async def test_the_totals_are_those_of_all_rows_over_all_shards(world: World) -> None:
    await sagas(world)
    await world.catch_up(page=20)

    assert await kept(world) == await summed(world)
    assert await world.value("SELECT count(DISTINCT shard) FROM saga_figures_totals") > 4
    async with world.engine.connect() as connection:
        assert await figures_of(connection, "started") == {("checkout",): 12}
        assert await figures_of(connection, "ended") == {
            ("checkout", "completed"): 8,
            ("checkout", "refused"): 4,
        }
        assert await figures_of(connection, "turned_back") == {("checkout", "PaymentDeclined"): 4}


@pytest.mark.thorough
async def test_several_projectors_that_come_and_go_count_everything_once(world: World) -> None:
    early = world.runner(page=50)
    async with world.running(early, world.runner(page=40)):
        await sagas(world)
    async with world.running(world.runner(page=30), world.runner()):
        await sagas(world, first=12)
        await until(partial(world.seen_all, PROJECTION.name), seconds=60)

    assert await kept(world) == await summed(world)
    async with world.engine.connect() as connection:
        assert await figures_of(connection, "started") == {("checkout",): 24}


async def test_a_page_that_is_not_kept_is_not_counted(world: World) -> None:
    """The rows of the last page were rolled back with their totals, and come again."""
    await sagas(world, count=3)
    await world.sql("ALTER TABLE saga_figures_totals ADD CHECK (figure <> 'ended')")
    await world.catch_up([PROJECTION])
    assert await kept(world) != await summed(world)
    waiting = await world.sql("SELECT DISTINCT stream FROM parked_events")

    await world.sql(
        "ALTER TABLE saga_figures_totals DROP CONSTRAINT saga_figures_totals_figure_check"
    )

    for (stream,) in waiting:
        await world.retry(PROJECTION.name, stream, [PROJECTION])

    assert await kept(world) == await summed(world)


@pytest.mark.thorough
async def test_a_rebuild_makes_the_same_totals_while_sagas_go_on(world: World) -> None:
    await sagas(world)
    await world.catch_up()
    # What only a rebuild can put right.
    await world.sql("UPDATE saga_figures_totals SET total = total + 1 WHERE figure = 'started'")
    async with world.running(world.runner(), world.runner()):
        await sagas(world, count=3, first=12)
        await rebuild(world.url, ROLE, [PROJECTION.name], HANDRAIL.read_models)
        await sagas(world, count=3, first=15)
        await until(partial(world.seen_all, PROJECTION.name), seconds=60)

    assert await kept(world) == await summed(world)
    left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'saga_figures%\\_\\_next%'"
    assert await world.value(left) == 0


async def test_the_oldest_parked_saga_of_each_type_is_known(world: World) -> None:
    for number in range(3):
        first = replace(started(), saga=f"s{number}")
        await world.append(f"saga-s{number}", first, replace(parked("A"), saga=f"s{number}"))
    await world.append("saga-s0", replace(resumed("A"), saga="s0"))
    await world.append("saga-other", replace(started(), saga="other", saga_type="quiet"))
    await world.catch_up()
    oldest = await world.value(
        "SELECT min(recorded_at) FROM events WHERE type = 'SagaParked' AND stream <> 'saga-s0'"
    )

    async with world.engine.connect() as connection:
        found = await saga_figures.figures(connection)

    assert found.oldest_parked == {"checkout": oldest}
    assert found.totals["waiting", ("checkout", "A")] == 2
    assert list(found.types) == ["checkout", "quiet"]


@pytest.mark.thorough
async def test_asking_costs_the_same_for_any_number_of_sagas(world: World) -> None:
    """It looks once into an index of what is parked, for one type, and reads no row."""
    many = 20_000
    await sagas(world, count=3)
    await world.catch_up()
    columns = ", ".join(PROJECTION.columns[1:])
    await world.sql(
        f"INSERT INTO saga_figures (saga, {columns})"
        f" SELECT 'copy-' || n, {columns} FROM saga_figures, generate_series(1, {many}) AS n"
        " WHERE saga = 'o1'"
    )
    await world.sql("ANALYZE saga_figures")
    reads = (
        "SELECT seq_scan + coalesce(idx_scan, 0), seq_tup_read + coalesce(idx_tup_fetch, 0)"
        " FROM pg_stat_xact_user_tables WHERE relname = 'saga_figures'"
    )
    async with world.engine.connect() as connection:
        before = (await connection.exec_driver_sql(reads)).one()
        await saga_figures.figures(connection)
        since = (await connection.exec_driver_sql(reads)).one()

    assert [now - then for now, then in zip(since, before, strict=True)] == [1, 0]


def test_every_end_of_a_bucket_is_a_number_for_prometheus() -> None:
    assert [float(one) for one in BUCKETS] == sorted(float(one) for one in BUCKETS)


def test_rows_that_did_not_change_change_no_total() -> None:
    row = after(started())

    assert changes(adds, {"1": row}, {"1": row}) == {}

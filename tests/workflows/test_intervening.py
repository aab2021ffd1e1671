"""Many parked sagas are told at once: each once, in time, with a result that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from handrail.database_engine import open_engine
from handrail.kernel import Attribution, stream_name
from handrail.processes import intervention_targets
from handrail.projections import intervention_board
from handrail.projections.install import install
from handrail.projections.intervention_board import InterventionRow
from handrail.projections.projector import Runner
from handrail.sagas.bulk_intervention import ASKING, InterveneInManyWorkflow, Progress
from handrail.sagas.interventions import Begun, InterveneInMany, Kind, SagaFilter, SagaTold, Target
from runtime.app import HANDRAIL
from tests.temporal import SANDBOX
from tests.workflows.ordered import Ordered
from tests.world import World, open_world

ROLE = "handrail_app"
Activities = Sequence[Callable[..., Any]]
Serve = Callable[[], Awaitable[str]]


def around(activities: Activities, way: Callable[[Serve], Awaitable[str]]) -> Activities:
    """The same activities, but that one saga is told in another way."""
    named = {activity._Definition.must_from_callable(one).name: one for one in activities}
    serve = named["InterveneInOne"]

    @activity.defn(name="InterveneInOne")
    async def run(asked: InterveneInMany, target: Target, opened_on: date) -> str:
        return await way(lambda: serve(asked, target, opened_on))

    return [*(one for name, one in named.items() if name != "InterveneInOne"), run]


@dataclass
class Operators:
    """A world of its own, whose parked sagas are on the board, and somebody to tell them."""

    world: World
    engine: AsyncEngine

    async def parked(self, many: int) -> list[Ordered]:
        """By their ids, which is the order they are told in."""
        orders = [await self.world.an_order(ship_to="addr_undeliverable") for _ in range(many)]
        for order in orders:
            await order.starts()
        for order in orders:
            await order.parks("BookShipment")
        await self.look()
        return sorted(orders, key=lambda order: order.id)

    async def look(self) -> None:
        await Runner(self.world.pool, HANDRAIL.read_models, HANDRAIL.codec, poll=0.01).catch_up()

    def activities(self) -> Activities:
        board = HANDRAIL.saga_board.table
        return intervention_targets.activities(
            self.world.store, self.world.client, self.engine, board
        )

    @asynccontextmanager
    async def at_work(self, activities: Activities | None = None) -> AsyncIterator[None]:
        async with Worker(
            self.world.client,
            task_queue=self.queue,
            workflows=[InterveneInManyWorkflow],
            activities=activities or self.activities(),
            workflow_runner=SANDBOX,
            graceful_shutdown_timeout=timedelta(0),
        ):
            yield

    @property
    def queue(self) -> str:
        return f"{self.world.queue_prefix}operators"

    async def tell(
        self,
        kind: Kind = "skip",
        *,
        per_second: int = 50,
        progress: Progress | None = None,
        correction: str = "",
        failure: str = "",
    ) -> WorkflowHandle[Any, Progress]:
        asked = InterveneInMany(
            intervention=uuid4().hex,
            which=SagaFilter(step="BookShipment", failure=failure),
            kind=kind,
            actor="operator",
            reason="looked into it",
            per_second=per_second,
            evidence="ticket 7",
            correction=correction,
        )
        return await self.world.client.start_workflow(
            InterveneInManyWorkflow.run,
            args=[asked, progress],
            id=stream_name("intervention", asked.intervention),
            task_queue=self.queue,
        )

    async def kept(self, told: WorkflowHandle[Any, Any], what: str) -> list[dict[str, Any]]:
        return await self._events(told.id, what)

    async def shown(self, told: WorkflowHandle[Any, Any]) -> InterventionRow | None:
        """As it stands on the board."""
        await self.look()
        async with self.engine.connect() as connection:
            name = told.id.removeprefix("intervention-")
            return await intervention_board.intervention(connection, name)

    async def resumed(self, order: Ordered) -> list[dict[str, Any]]:
        return await self._events(stream_name("saga", order.id), "SagaResumed")

    async def _events(self, stream: str, what: str) -> list[dict[str, Any]]:
        async with self.world.pool.connection() as connection:
            found = await connection.execute(
                "SELECT data FROM events WHERE stream = %s AND type = %s ORDER BY version",
                (stream, what),
            )
            return [data for (data,) in await found.fetchall()]


@pytest.fixture
async def operators(database: str, temporal: WorkflowEnvironment) -> AsyncIterator[Operators]:
    await asyncio.to_thread(install, database, ROLE, HANDRAIL.read_models)
    async with (
        open_world(database, temporal) as world,
        open_engine(database, role=ROLE, size=2) as engine,
    ):
        yield Operators(world, engine)


@pytest.mark.thorough
async def test_each_is_told_once_also_when_it_is_parked_again(operators: Operators) -> None:
    async with operators.world.at_work(), operators.at_work():
        orders = await operators.parked(3)
        told = await operators.tell("retry")
        result = await told.result()
        for order in orders:
            await order.parks("BookShipment", times=2)
        await operators.look()

        assert (result.found, result.accepted, result.told) == (3, 3, 3)
        kept = await operators.kept(told, "SagaTold")
        assert sorted(one["saga"] for one in kept) == [order.id for order in orders]
        assert {one["heard"] for one in kept} == {"accepted"}
        assert [len(await operators.resumed(order)) for order in orders] == [1, 1, 1]
        assert len(await operators.kept(told, "InterventionFinished")) == 1


@pytest.mark.thorough
async def test_they_are_told_page_by_page(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.sagas.bulk_intervention.PAGE", 2)
    async with operators.world.at_work(), operators.at_work():
        orders = await operators.parked(5)
        told = await operators.tell()
        assert (await told.result()).accepted == 5
        for order in orders:
            await order.ends()
            assert len(await operators.resumed(order)) == 1


@pytest.mark.thorough
async def test_a_run_that_continues_another_goes_on_after_its_last_saga(
    operators: Operators,
) -> None:
    async with operators.world.at_work(), operators.at_work():
        orders = await operators.parked(3)
        now = datetime.now(UTC)
        before = Progress(until=now, opened_on=now.date(), found=3, after=orders[0].id, accepted=1)
        result = await (await operators.tell(progress=before)).result()
        assert (result.found, result.accepted) == (3, 3)
        assert [len(await operators.resumed(order)) for order in orders] == [0, 1, 1]


async def test_what_has_gone_on_by_itself_is_a_result_and_no_failure(
    operators: Operators,
) -> None:
    async with operators.world.at_work(), operators.at_work():
        [gone] = await operators.parked(1)
        await gone.is_told("skip")
        await gone.ends()
        told = await operators.tell()
        assert (await told.result()).refused == 1
        [kept] = await operators.kept(told, "SagaTold")
        assert (kept["heard"], kept["said"]) == ("refused", "it has ended")


@pytest.mark.thorough
async def test_a_saga_whose_worker_is_away_is_unreachable_and_the_others_are_told(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)
    monkeypatch.setitem(ASKING, "retry_policy", soon)
    monkeypatch.setattr("handrail.activities.bulk_intervention.ANSWER_WITHIN", 0.5)
    elsewhere = Operators(operators.world.elsewhere(), operators.engine)
    async with elsewhere.world.at_work():
        [away] = await elsewhere.parked(1)
    async with operators.world.at_work(), operators.at_work():
        [here] = await operators.parked(1)
        told = await operators.tell()
        result = await told.result()
        assert (result.accepted, result.unreachable) == (1, 1)
        heard = {one["saga"]: one["heard"] for one in await operators.kept(told, "SagaTold")}
        assert heard == {here.id: "accepted", away.id: "unreachable"}


@pytest.mark.thorough
async def test_asked_again_after_its_answer_got_lost_it_is_the_same_intervention(
    operators: Operators,
) -> None:
    lost: list[str] = []

    async def losing(serve: Serve) -> str:
        heard = await serve()
        if not lost:
            lost.append(heard)
            raise ConnectionError("the answer got lost")
        return heard

    unreliable = around(operators.activities(), losing)
    async with operators.world.at_work(), operators.at_work(unreliable):
        [order] = await operators.parked(1)
        told = await operators.tell()
        result = await told.result()
        assert (lost, result.accepted, result.refused) == (["accepted"], 1, 0)
        assert [one["heard"] for one in await operators.kept(told, "SagaTold")] == ["accepted"]
        assert len(await operators.resumed(order)) == 1


def cannot_keep_results(world: World, monkeypatch: pytest.MonkeyPatch, *, tries: int) -> None:
    """The database is away just when a saga has taken what it was told."""
    append, failed = world.store.append, iter(range(tries))

    async def failing(appends: Any, **how: Any) -> Any:
        told = [event for _, _, events in appends for event in events]
        if any(isinstance(one, SagaTold) for one in told) and next(failed, None) is not None:
            raise ConnectionError("the database was away for a moment")
        return await append(appends, **how)

    monkeypatch.setattr(world.store, "append", failing)


@pytest.mark.thorough
async def test_a_correction_that_was_taken_is_kept_as_accepted_though_its_result_got_lost(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_keep_results(operators.world, monkeypatch, tries=1)
    async with operators.world.at_work(), operators.at_work():
        [order] = await operators.parked(1)
        told = await operators.tell("correct", correction='{"ship_to": "addr_ok"}')
        result = await told.result()
        await order.ends()
        assert (result.accepted, result.refused) == (1, 0)
        assert [one["heard"] for one in await operators.kept(told, "SagaTold")] == ["accepted"]
        assert len(await operators.resumed(order)) == 1


async def test_who_took_it_was_reached_though_the_result_could_not_be_kept_in_time(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)
    monkeypatch.setitem(ASKING, "retry_policy", soon)
    cannot_keep_results(operators.world, monkeypatch, tries=2)
    async with operators.world.at_work(), operators.at_work():
        [order] = await operators.parked(1)
        told = await operators.tell()
        result = await told.result()
        await order.ends()
        assert (result.accepted, result.unreachable) == (1, 0)
        assert [one["heard"] for one in await operators.kept(told, "SagaTold")] == ["accepted"]


async def test_what_is_parked_again_meanwhile_is_left_alone(operators: Operators) -> None:
    reached, opened = asyncio.Event(), asyncio.Event()

    async def held(serve: Serve) -> str:
        reached.set()
        await opened.wait()
        return await serve()

    slow = around(operators.activities(), held)
    async with operators.world.at_work(), operators.at_work(slow):
        [order] = await operators.parked(1)
        told = await operators.tell()
        await reached.wait()
        await order.is_told("retry", "BookShipment", intervention="by hand")
        await order.parks("BookShipment", times=2)
        opened.set()
        assert (await told.result()).refused == 1
        [kept] = await operators.kept(told, "SagaTold")
        assert (kept["heard"], kept["said"]) == ("refused", "it was parked again meanwhile")
        assert [one["intervention"] for one in await operators.resumed(order)] == ["by hand"]


async def test_a_filter_that_can_find_nothing_ends_it_and_the_board_says_why(
    operators: Operators,
) -> None:
    async with operators.at_work():
        told = await operators.tell(failure="a text of PostgreSQL has no \x00")
        result = await told.result()
    assert (result.found, result.told) == (0, 0)
    shown = await operators.shown(told)
    assert shown is not None
    assert (shown.state, shown.stopped_by) == ("stopped", "handrail")
    assert "NUL" in shown.stop_reason


@pytest.mark.thorough
async def test_one_that_cannot_begin_is_stopped_all_the_same(operators: Operators) -> None:
    tried = asyncio.Event()

    @activity.defn(name="BeginIntervention")
    async def begin(_asked: InterveneInMany, _opened_on: date) -> Begun:
        tried.set()
        raise ConnectionError("the board does not answer")

    def is_begin(one: Callable[..., Any]) -> bool:
        return activity._Definition.must_from_callable(one).name == "BeginIntervention"

    others = [one for one in operators.activities() if not is_begin(one)]
    async with operators.at_work([*others, begin]):
        told = await operators.tell()
        await tried.wait()
        why = Attribution(actor="ann", reason="never mind")
        await told.execute_update(InterveneInManyWorkflow.stop, why)
        assert (await told.result()).stopped == why
    shown = await operators.shown(told)
    assert shown is not None
    assert (shown.state, shown.stopped_by, shown.found) == ("stopped", "ann", 0)


@pytest.mark.thorough
async def test_no_more_are_told_in_a_second_than_was_asked_for(operators: Operators) -> None:
    async with operators.world.at_work(), operators.at_work():
        await operators.parked(4)
        told = await operators.tell(per_second=2)
        await told.result()
        asked = [
            event.event_time.ToDatetime()
            async for event in told.fetch_history_events()
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
            and event.activity_task_scheduled_event_attributes.activity_type.name
            == "InterveneInOne"
        ]
        assert len(asked) == 4
        assert all(b - a >= timedelta(seconds=0.49) for a, b in pairwise(asked))


@pytest.mark.thorough
async def test_stopped_it_leaves_the_others_alone_and_the_first_who_stopped_it_counts(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.sagas.bulk_intervention.AT_ONCE", 1)
    reached, opened = asyncio.Event(), asyncio.Event()

    async def held(serve: Serve) -> str:
        reached.set()
        await opened.wait()
        return await serve()

    slow = around(operators.activities(), held)
    async with operators.world.at_work(), operators.at_work(slow):
        orders = await operators.parked(3)
        told = await operators.tell()
        await reached.wait()
        for who in ("ann", "bob"):
            stop = Attribution(actor=who, reason="it made it worse")
            await told.execute_update(InterveneInManyWorkflow.stop, stop)
        opened.set()
        result = await told.result()
        assert (result.told, result.stopped) == (
            1,
            Attribution(actor="ann", reason="it made it worse"),
        )
        [stopped] = await operators.kept(told, "InterventionStopped")
        assert (stopped["actor"], stopped["reason"]) == ("ann", "it made it worse")
        assert [len(await operators.resumed(order)) for order in orders] == [1, 0, 0]

"""Steps side by side: none of them is waited for once another has turned the saga back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from handrail.sagas.events import AnswerAwaited, SagaEnded, SagaEvent, SagaParked, StepAnswered
from handrail.sagas.execution import SagaExecution
from handrail.testing.evidence import read
from handrail.testing.running_saga import Running, eventually
from tests.temporal import SANDBOX
from tests.workflows.beside import BesideWorkflow
from tests.workflows.steps import all_others_have_ended
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED
REVIEW = "RequestReview"


@pytest.fixture
async def beside(world: World) -> AsyncIterator[Running]:
    await all_others_have_ended()
    place = world.elsewhere()
    order = await place.an_order()
    saga = Running(
        world=place,
        id=order.id,
        workflow=BesideWorkflow,
        input=order.input,
        options=order.options,
    )
    async with Worker(
        place.client,
        task_queue=f"{place.queue_prefix}sagas",
        workflows=[BesideWorkflow],
        activities=[one for group in place.activities().values() for one in group],
        workflow_runner=SANDBOX,
    ):
        yield saga


async def told(saga: Running, kind: type[SagaEvent]) -> list[Any]:
    return (await read(saga.world, saga.id)).told(kind)


async def test_a_refusal_does_not_wait_for_an_answer_that_is_awaited_beside_it(
    beside: Running,
) -> None:
    beside.fails("HoldCredit")
    await beside.starts()
    await beside.tells("AnswerAwaited", REVIEW)
    beside.refuses("HoldCredit")
    assert await beside.ends() == COMPLETED
    [ended] = await told(beside, SagaEnded)
    assert (ended.ending, ended.because) == ("refused", "Unwilling")
    assert await told(beside, StepAnswered) == []


@pytest.mark.thorough
async def test_a_refusal_does_not_wait_for_a_step_that_is_parked_beside_it(
    beside: Running,
) -> None:
    beside.fails(REVIEW)
    beside.fails("HoldCredit")
    await beside.starts()
    await beside.parks(REVIEW)
    beside.refuses("HoldCredit")
    assert await beside.ends() == COMPLETED
    [ended] = await told(beside, SagaEnded)
    assert (ended.ending, ended.because) == ("refused", "Unwilling")


async def test_a_step_done_by_hand_says_that_its_answer_is_awaited(beside: Running) -> None:
    beside.loses_the_answer(REVIEW)
    await beside.starts()
    await beside.parks(REVIEW)
    assert len(await told(beside, SagaParked)) == 1
    await beside.is_told("resolve", REVIEW)
    await beside.tells("AnswerAwaited", REVIEW)
    await beside.is_answered(approved=True)
    assert await beside.ends() == COMPLETED
    assert len(await told(beside, AnswerAwaited)) == 1
    [answered] = await told(beside, StepAnswered)
    assert answered.approved


async def test_a_mistake_in_code_does_not_hide_behind_a_step_that_waits(
    beside: Running, monkeypatch: pytest.MonkeyPatch
) -> None:

    get_done = SagaExecution._get_done

    async def mistaken(self: SagaExecution, step: Any, question: Any) -> Any:
        done = await get_done(self, step, question)
        if step.name == "HoldCredit":
            raise RuntimeError("a mistake in code")
        return done

    monkeypatch.setattr(SagaExecution, "_get_done", mistaken)
    await beside.starts()

    async def has_failed() -> bool:
        history = await beside.handle.fetch_history()
        failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return any(event.event_type == failed for event in history.events)

    await eventually(has_failed, "the workflow's task fails")
    monkeypatch.undo()
    await beside.tells("AnswerAwaited", REVIEW)

    async def answered() -> bool:
        try:
            await beside.is_answered(approved=True)
        except Exception:  # noqa: BLE001  # refused while its task still fails
            return False
        return True

    await eventually(answered, "the mended saga hears its answer")
    assert await beside.ends() == COMPLETED

"""One saga in the world: what is to happen to it, what people do with it, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from handrail.kernel import Attribution, Command, stream_name
from handrail.sagas.events import Direction, SagaEnded, SagaEvent, SagaResumed
from handrail.sagas.options import Intervention, InterventionKind, RunOptions, SagaResult, Verdict
from handrail.sagas.visibility import (
    FAILURE_CODE,
    PARKED_SINCE,
    SAGA_STATUS,
    SAGA_STEP,
    SAGA_TYPE,
)
from handrail.sagas.workflow_handlers import SagaHandlers
from handrail.testing.faults import A_LONG_TIME, ALWAYS, Fault, Gate, Loss

if TYPE_CHECKING:
    from handrail.testing.environment import Environment

Placement = Literal["local", "queues"]
ONE_TASK = timedelta(seconds=2)  # while a local activity runs, updates wait for most of this
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.1  # seconds


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, *, within: float = A_LONG_TIME
) -> None:
    """Wait for what another process does; there is nothing to listen to. The longer it lasts, the
    less often is looked: each look takes work from what is waited for.
    """
    deadline, pause = time.monotonic() + within, _SHORTEST_PAUSE
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(pause)
        pause = min(1.3 * pause, _LONGEST_PAUSE)


@dataclass(frozen=True)
class Shown:
    """What an operator can search for."""

    status: str
    step: str
    failure: str
    parked_since: datetime | None
    saga_type: str


@dataclass(eq=False, kw_only=True)
class Running:
    world: Environment
    id: str
    workflow: type[Any]
    input: Any
    options: RunOptions
    attempt: int = 1
    task_timeout: timedelta = ONE_TASK
    _said: int = 0

    # What is to happen.

    def fault(self, step: str, direction: Direction = "do") -> Fault:
        return self.world.faults.told.setdefault((self.id, step, direction), Fault())

    def fails(self, step: str, direction: Direction = "do", *, tries: float = ALWAYS) -> Fault:
        fault = self.fault(step, direction)
        fault.fails = tries
        return fault

    def loses_the_answer(
        self, step: str, direction: Direction = "do", *, tries: float = ALWAYS
    ) -> Fault:
        fault = self.fault(step, direction)
        fault.loses = tries
        return fault

    def is_delivered_twice(self, step: str, direction: Direction = "do") -> Fault:
        fault = self.fault(step, direction)
        fault.twice = True
        return fault

    def breaks_a_rule(self, step: str) -> Fault:
        fault = self.fault(step)
        fault.breaks_a_rule = True
        return fault

    def refuses(self, step: str) -> Fault:
        """The context says no: what it stores and answers then is all that happens."""
        fault = self.fault(step)
        fault.refuses = True
        return fault

    def is_held(self, step: str, direction: Direction = "do") -> Gate:
        gate = self.fault(step, direction).gate = Gate()
        return gate

    def loses_its_task_at(self, step: str, direction: Direction = "do") -> Loss:
        """Once the step or the record is committed."""
        loss = self.fault(step, direction).loss = Loss(self.world.lost)
        return loss

    def is_done_by_the_company_alone(self, step: str) -> asyncio.Event:
        """Our own books never hear of it; the event is set once the company has answered."""
        alone = self.fault(step).alone = asyncio.Event()
        return alone

    def is_asked_for_instead(self, step: str, instead: Callable[[Any], Any]) -> None:
        self.fault(step).instead = instead

    def recovers(self, step: str, direction: Direction = "do") -> None:
        self.world.faults.told.pop((self.id, step, direction))

    # What people do.

    @property
    def handle(self) -> WorkflowHandle[Any, SagaResult]:
        return self.world.client.get_workflow_handle(self.id, result_type=SagaResult)

    async def starts(self) -> None:
        await self.world.client.start_workflow(
            self.workflow.run,
            args=[self.input, self.options, "requester", self.attempt],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
            task_timeout=self.task_timeout,
        )

    async def is_started_again(self) -> None:
        """As the next attempt; without the faults of this one."""
        self.attempt += 1
        await self.starts()

    async def is_terminated(self) -> None:
        await self.handle.terminate("a test")

    async def is_cancelled_by_the_requester(self) -> None:
        wish = Attribution(actor="requester", reason="changed my mind")
        await self.handle.execute_update("cancel", wish)

    async def is_cancelled_by_temporal(self, *, times: int = 1) -> None:
        """And the workflow knows: what runs inside a workflow task does not until that ends."""
        for _ in range(times):
            await self.handle.cancel()

        async def known() -> bool:
            history = await self.handle.fetch_history()
            kinds = [event.event_type for event in history.events]
            if EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED not in kinds:
                return False
            after = kinds.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
            return EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED in kinds[after:]

        await eventually(known, f"{self.id} knows that it is cancelled")

    async def is_told(
        self,
        kind: InterventionKind,
        step: str = "",
        *,
        intervention: str = "",
        correction: Command | None = None,
        happened: bool = True,
    ) -> None:
        """By an operator, whose interventions each have an id of their own."""
        self._said += 1
        told = Intervention(
            id=intervention or f"{self.id}-{self._said}",
            kind=kind,
            actor="operator",
            reason="looked into it",
            step=step,
            evidence="ticket 7" if kind in {"skip", "resolve"} else "",
            happened=happened,
        )
        await self.handle.execute_update("intervene", args=[told, correction])

    async def is_answered(self, *, approved: bool, step: str = "") -> None:
        self._said += 1
        verdict = Verdict(
            id=f"{self.id}-{self._said}",
            approved=approved,
            actor="approver",
            reason="looked into it",
            step=step,
        )
        await self.handle.execute_update("answer", verdict)

    async def parked_command(self, step: str) -> Any:
        return await self.handle.query(SagaHandlers.parked_command, step)

    # What happened.

    async def tells(self, event: str, step: str, *, times: int = 1) -> None:
        """Wait until the saga's stream holds the event of this step."""

        async def told() -> bool:
            async with self.world.pool.connection() as connection:
                rows = await connection.execute(
                    "SELECT FROM events WHERE stream = %s AND type = %s AND data ->> 'step' = %s",
                    (stream_name("saga", self.id), event, step),
                )
                return rows.rowcount >= times

        await eventually(told, f"{event} of {step} in {self.id}")

    async def story(self) -> list[SagaEvent]:
        """What the saga's own stream holds, of all its attempts."""
        async with self.world.pool.connection() as connection:
            rows = await connection.execute(
                "SELECT type, schema, data FROM events WHERE stream = %s ORDER BY version",
                (stream_name("saga", self.id),),
            )
            codec = self.world.codec
            return [cast("SagaEvent", codec.decode(*row)) for row in await rows.fetchall()]

    async def parks(self, step: str, *, times: int = 1) -> None:
        """Wait until the step is parked, and Temporal has kept that.

        A workflow task that is lost meanwhile runs again, and refuses an intervention that comes
        before it has parked the step again.
        """
        await self.tells("SagaParked", step, times=times)

        async def kept() -> bool:
            goes_on = any(isinstance(one, SagaResumed | SagaEnded) for one in await self.story())
            return goes_on or (await self.shown()).status == "parked"

        await eventually(kept, f"{step} in {self.id} is shown as parked")

    async def has_lost_a_task(self) -> bool:
        """Whether some code ran again, of which nothing is in the history."""
        lost = {
            EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
            EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        }
        history = await self.handle.fetch_history()
        return any(event.event_type in lost for event in history.events)

    async def ends(self) -> WorkflowExecutionStatus:
        try:
            async with asyncio.timeout(A_LONG_TIME):
                await self.handle.result()
        except WorkflowFailureError as failure:
            if isinstance(failure.cause, CancelledError):
                return WorkflowExecutionStatus.CANCELED
            return WorkflowExecutionStatus.FAILED
        return WorkflowExecutionStatus.COMPLETED

    async def shown(self) -> Shown:
        attributes = (await self.handle.describe()).typed_search_attributes
        return Shown(
            status=attributes.get(SAGA_STATUS, ""),
            step=attributes.get(SAGA_STEP, ""),
            failure=attributes.get(FAILURE_CODE, ""),
            parked_since=attributes.get(PARKED_SINCE),
            saga_type=attributes.get(SAGA_TYPE, ""),
        )

    async def timeline(self) -> str:
        """What the Temporal UI shows beside the history."""
        metadata: WorkflowMetadata = await self.handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return metadata.current_details

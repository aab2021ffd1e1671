"""One order in the world: what is to happen to it, what people do with it, and what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import CancelledError

from domain.kernel import stream_name
from domain.ordering.commands import PlaceOrder
from domain.sagas.events import Direction
from tests.workflows.books import Books, assert_clean_slate, read_books
from tests.workflows.faults import ALWAYS, Fault, Gate
from workflows.checkout import Checkout, CheckoutWorkflow
from workflows.messages import Cancellation, Decision, Intervention, RunOptions, SagaResult
from workflows.timeline import (
    FAILURE_CODE,
    MERCHANT,
    PARKED_SINCE,
    SAGA_STATUS,
    SAGA_STEP,
    SAGA_TYPE,
)

if TYPE_CHECKING:
    from tests.world import World

Placement = Literal["local", "queues"]
ONE_TASK = timedelta(seconds=2)  # while a local activity runs, updates wait for most of this
A_LONG_TIME = 30.0  # seconds: a test that waits longer for anything has failed


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for what another process does; there is nothing to listen to."""
    deadline = time.monotonic() + A_LONG_TIME
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.02)


def a_checkout(order: PlaceOrder, *, card: str = "card_ok", ship_to: str = "addr_ok") -> Checkout:
    return Checkout(
        order=order.order,
        customer=order.customer,
        merchant=order.merchant,
        lines=order.lines,
        total=order.total,
        instalments=order.instalments,
        card=card,
        ship_to=ship_to,
        placed_at=order.placed_at,
    )


@dataclass(frozen=True)
class Shown:
    """What an operator can search for."""

    status: str
    step: str
    failure: str
    parked_since: datetime | None
    saga_type: str
    merchant: str


@dataclass(eq=False)
class Ordered:
    """One order in the world: what is to happen to it, and what happened."""

    world: World
    checkout: Checkout
    options: RunOptions
    stock_before: int
    _said: int = 0

    @property
    def id(self) -> str:
        return self.checkout.order

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

    def is_delivered_twice(self, step: str, direction: Direction = "do") -> None:
        self.fault(step, direction).twice = True

    def breaks_a_rule(self, step: str) -> None:
        self.fault(step).breaks_a_rule = True

    def is_held(self, step: str, direction: Direction = "do") -> Gate:
        gate = self.fault(step, direction).gate = Gate()
        return gate

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
            CheckoutWorkflow.run,
            args=[self.checkout, self.options, "customer"],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
            task_timeout=ONE_TASK,
        )

    async def asks_for_the_decision(self, request: str = "first") -> Decision:
        """Starts the saga, or joins the one that runs."""
        operation = WithStartWorkflowOperation(
            CheckoutWorkflow.run,
            args=[self.checkout, self.options, "customer"],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
            task_timeout=ONE_TASK,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        decision: Decision = await self.world.client.execute_update_with_start_workflow(
            "decision", start_workflow_operation=operation, id=request, result_type=Decision
        )
        return decision

    async def is_cancelled_by_the_customer(self) -> None:
        wish = Cancellation(actor="customer", reason="changed my mind")
        await self.handle.execute_update(CheckoutWorkflow.cancel, wish)

    async def is_cancelled_by_temporal(self, *, times: int = 1) -> None:
        for _ in range(times):
            await self.handle.cancel()

    async def is_told(
        self, kind: Literal["retry", "compensate"], step: str = "", *, intervention: str = ""
    ) -> None:
        """By an operator, whose interventions each have an id of their own."""
        self._said += 1
        told = Intervention(
            id=intervention or f"{self.id}-{self._said}",
            kind=kind,
            actor="operator",
            reason="looked into it",
            step=step,
        )
        await self.handle.execute_update(CheckoutWorkflow.intervene, told)

    # What happened.

    async def books(self) -> Books:
        world = self.world
        return await read_books(world.pool, world.bank, world.carrier, self.checkout)

    async def parks(self, step: str, *, times: int = 1) -> None:
        async def parked() -> bool:
            async with self.world.pool.connection() as connection:
                rows = await connection.execute(
                    "SELECT FROM events WHERE stream = %s AND type = 'SagaParked'"
                    " AND data ->> 'step' = %s",
                    (stream_name("saga", self.id), step),
                )
                return rows.rowcount >= times

        await eventually(parked, f"{step} is parked")

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
            merchant=attributes.get(MERCHANT, ""),
        )

    async def timeline(self) -> str:
        """What the Temporal UI shows beside the history."""
        metadata: WorkflowMetadata = await self.handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return metadata.current_details

    async def leaves_a_clean_slate(self) -> Books:
        """The books, which are in order."""
        books = await self.books()
        assert_clean_slate(books, stock_before=self.stock_before)
        return books

"""One order in the world: its checkout, and what the books say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from domain.ordering.commands import PlaceOrder
from handrail.sagas.options import Decision, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import ONE_TASK, Placement, Running, Shown, eventually
from tests.workflows.books import Books, assert_clean_slate, read_books
from workflows import plan_collection
from workflows.checkout import Checkout, CheckoutWorkflow
from workflows.collect_instalments import CollectInstalmentsWorkflow

if TYPE_CHECKING:
    from tests.world import World

__all__ = ["A_LONG_TIME", "Ordered", "Placement", "Shown", "a_checkout", "eventually"]


TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""What was bought long ago would be collected at once."""


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
        placed_at=TODAY,
    )


@dataclass(eq=False, kw_only=True)
class Ordered(Running):
    """`stock_before` is what was available of the order's one article."""

    world: World
    input: Checkout
    workflow: type[SagaHandlers] = CheckoutWorkflow
    stock_before: int

    async def asks_for_the_decision(self, request: str = "first") -> Decision:
        """Starts the saga, or joins the one that runs."""
        operation: WithStartWorkflowOperation[Any, SagaResult] = WithStartWorkflowOperation(
            "Checkout",
            args=[self.input, self.options, "customer", 1],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
            task_timeout=ONE_TASK,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        decision: Decision = await self.world.client.execute_update_with_start_workflow(
            "decision", start_workflow_operation=operation, id=request, result_type=Decision
        )
        return decision

    async def is_being_collected(self) -> None:
        """Wait until the process that follows knows the plan."""
        plan = self.world.client.get_workflow_handle(plan_collection.workflow_id(self.id))

        async def reads() -> bool:
            progress = await plan.query(CollectInstalmentsWorkflow.progress)
            return progress.plan is not None

        await eventually(reads, f"the plan of {self.id} is read")

    async def books(self) -> Books:
        world = self.world
        return await read_books(world.pool, world.bank, world.carrier, self.input)

    async def leaves_a_clean_slate(self) -> Books:
        """The books, which are in order."""
        books = await self.books()
        assert_clean_slate(books, stock_before=self.stock_before)
        return books

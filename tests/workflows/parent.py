"""A saga that begins once a child of its workflow has ended."""

from __future__ import annotations

from temporalio import workflow

from domain.identifiers import MerchantId
from handrail.kernel import Money
from handrail.sagas.cancellation import run_uncancellable
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from tests.workflows.growing import Grow, shape_2


@workflow.defn(name="Nap")
class Nap:
    """Ends when it is woken."""

    def __init__(self) -> None:
        self._awake = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._awake)

    @workflow.signal
    def wake(self) -> None:
        self._awake = True


@workflow.defn(name="Parent")
class Parent(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Grow, options: RunOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id,
            saga_type="Parent",
            tenant=MerchantId("none"),
            at_stake=Money(1, "EUR"),
            actor=actor,
            attempt=attempt,
        )
        self._saga = SagaExecution(shape_2(asked), identity, options)

    @workflow.run
    async def run(
        self, _asked: Grow, options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        await run_uncancellable(self._nap(options.queue_prefix + "naps"))
        return await self._saga.run()

    async def _nap(self, queue: str) -> None:
        await workflow.execute_child_workflow(
            Nap.run,
            id=f"nap-{workflow.info().workflow_id}",
            task_queue=queue,
            cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )

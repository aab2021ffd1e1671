"""A saga in which somebody's answer is awaited beside another step."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from domain.ordering.commands import CloseReview, ConfirmOrder, RequestReview
from handrail.sagas.definition import Parallel, Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows import checkout
from workflows.checkout import Checkout


def saga(o: Checkout) -> Saga:
    promises = {step.name: step for group in checkout.saga(o).groups for step in group}
    review = Step(
        do=RequestReview(order=o.order, total=o.total),
        undo=CloseReview(order=o.order),
        deadline=timedelta(seconds=1),
        on_unknown="park",
        answered_within=timedelta(days=14),
    )
    return Saga(
        compensatable=[promises["PlaceOrder"], Parallel(review, promises["HoldCredit"])],
        pivot=ConfirmOrder(order=o.order),
    )


@workflow.defn(name="Beside")
class BesideWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Checkout, options: RunOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id,
            saga_type="Beside",
            tenant=asked.merchant,
            at_stake=asked.total,
            actor=actor,
            attempt=attempt,
        )
        self._saga = SagaExecution(saga(asked), identity, options)

    @workflow.run
    async def run(
        self, _asked: Checkout, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()

"""A checkout without what follows it: nothing follows the steps of its peers either."""

from __future__ import annotations

from temporalio import workflow

from workflows.checkout import NEWEST, Checkout, saga
from workflows.handlers import SagaHandlers
from workflows.messages import RunOptions, SagaIdentity, SagaResult
from workflows.saga import SagaRun


@workflow.defn(name="CheckoutAlone")
class CheckoutAlone(SagaHandlers):
    shape = NEWEST

    @workflow.init
    def __init__(self, checkout: Checkout, options: RunOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id,
            saga_type="Checkout",
            merchant=checkout.merchant,
            at_stake=checkout.total,
            actor=actor,
            attempt=attempt,
        )
        self._saga = SagaRun(saga(checkout, options), identity, options)

    @workflow.run
    async def run(self, _: Checkout, __: RunOptions, ___: str, ____: int) -> SagaResult:
        return await self._saga.run()

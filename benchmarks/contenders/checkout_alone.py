"""A checkout without what follows it: nothing follows the steps of its peers either."""

from __future__ import annotations

from temporalio import workflow

from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.checkout import NEWEST, Checkout, saga
from workflows.options import ShopOptions


@workflow.defn(name="CheckoutAlone")
class CheckoutAlone(SagaHandlers):
    shape = NEWEST

    @workflow.init
    def __init__(self, checkout: Checkout, options: ShopOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id,
            saga_type="Checkout",
            tenant=checkout.merchant,
            at_stake=checkout.total,
            actor=actor,
            attempt=attempt,
        )
        self._saga = SagaExecution(saga(checkout, options), identity, options)

    @workflow.run
    async def run(self, _: Checkout, __: ShopOptions, ___: str, ____: int) -> SagaResult:
        return await self._saga.run()

"""A saga that is about no money, on behalf of no tenant."""

from __future__ import annotations

from temporalio import workflow

from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from tests.workflows.growing import Grow, shape_2


@workflow.defn(name="Plain")
class Plain(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Grow, options: RunOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id, saga_type="Plain", actor=actor, attempt=attempt
        )
        self._saga = SagaExecution(shape_2(asked), identity, options)

    @workflow.run
    async def run(
        self, _asked: Grow, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()

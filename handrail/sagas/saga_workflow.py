"""Makes the Temporal workflow of a SagaType: the SDK reads names and types off a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio import workflow

from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers

if TYPE_CHECKING:
    from handrail.sagas.saga_type import SagaType


def saga_workflow(type_: SagaType[Any]) -> type[SagaHandlers]:
    """A class as if it stood at the top of the module of the saga's function."""

    class SagaWorkflow(SagaHandlers):
        def __init__(self, asked: Any, options: Any, actor: str, attempt: int) -> None:
            identity = SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=type_.name,
                tenant=type_.tenant(asked),
                at_stake=type_.at_stake(asked),
                actor=actor,
                attempt=attempt,
                input=asked,
                subject=type_.subject(asked),
            )
            self._saga = SagaExecution(type_.steps(asked, options), identity, options)

        async def run(self, asked: Any, options: Any, actor: str, attempt: int) -> SagaResult:
            del attempt
            return await type_.run(self._saga, asked, options, actor)

    SagaWorkflow.shape = type_.example().shape
    SagaWorkflow.__name__ = SagaWorkflow.__qualname__ = f"{type_.name}Workflow"
    SagaWorkflow.__module__ = type_.saga.__module__
    for method, returns in ((SagaWorkflow.__init__, None), (SagaWorkflow.run, SagaResult)):
        method.__annotations__ = {
            "asked": type(type_.example_input),
            "options": type_.options,
            "actor": str,
            "attempt": int,
            "return": returns,
        }
        # Temporal accepts no method of a class inside a function, and looks at this name.
        method.__qualname__ = f"{SagaWorkflow.__qualname__}.{method.__name__}"
        method.__module__ = SagaWorkflow.__module__
    SagaWorkflow.__init__ = workflow.init(SagaWorkflow.__init__)  # type: ignore[method-assign]
    SagaWorkflow.run = workflow.run(SagaWorkflow.run)  # type: ignore[method-assign]
    return workflow.defn(name=type_.name)(SagaWorkflow)

"""SagaType: a saga as a team declares it, from which its Temporal workflow is made.

SAGA = SagaType(name="BookTrip", saga=saga, example_input=BookTrip(…), …)
BookTripWorkflow = SAGA.workflow
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from temporalio import workflow

from handrail.kernel import NO_TENANT, Money, TenantId
from handrail.sagas.child_workflows import Child
from handrail.sagas.definition import Saga
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.worker_versions import in_known_shape
from handrail.sagas.workflow_handlers import SagaHandlers

InputT = TypeVar("InputT")
Run = Callable[[SagaExecution, InputT, Any, str], Awaitable[SagaResult]]


async def _run(execution: SagaExecution, _asked: Any, _options: Any, _actor: str) -> SagaResult:
    return await execution.run()


def _no_tenant(_: Any) -> TenantId:
    return NO_TENANT


def _no_money(_: Any) -> Money | None:
    return None


def _nothing(_: Any) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class SagaType(Generic[InputT]):
    """`name` is the workflow's name in Temporal, `purpose` a sentence for operators.

    `saga` says what the steps are of an input, or of an input and options, which are of the type
    `options`: of equal ones always the same, since a replay asks again. `example_input` is some
    input, by which the saga is explained and tested. `id` is the saga's id, `summary` a line and
    `details` Markdown for the Temporal UI; they hold nothing personal. `tenant`, `at_stake` and
    `subject` may be left out: the subject is whose personal data the saga is about, such as
    `subject_of("guest", input.guest)`. `run` is for a saga around which more happens: it is given
    the execution, the input, the options and the actor, and awaits `execution.run()`.
    """

    name: str
    purpose: str
    saga: Callable[..., Saga]
    example_input: InputT
    id: Callable[[InputT], str]
    summary: Callable[[InputT], str]
    details: Callable[[InputT], str] = _nothing
    tenant: Callable[[InputT], TenantId] = _no_tenant
    at_stake: Callable[[InputT], Money | None] = _no_money
    subject: Callable[[InputT], str] = _nothing
    options: type[RunOptions] = RunOptions
    run: Run[InputT] = _run

    def __post_init__(self) -> None:
        _ = self.workflow

    @cached_property
    def workflow(self) -> type[SagaHandlers]:
        """Called `<name>Workflow`, of the module of `saga`: bind it there to that name, under which
        Temporal's sandbox imports it.
        """
        return _workflow_of(self)

    def steps(self, asked: InputT, options: RunOptions) -> Saga:
        """The saga of one input."""
        return self.saga(asked, options) if self._takes_options else self.saga(asked)

    def example(self) -> Saga:
        """In its newest shape."""
        return self.steps(self.example_input, self.options())

    def child(self, asked: InputT, *, id: str | None = None) -> Child:  # noqa: A002  # a field's name
        """As another process has it run; `id` in place of the usual one."""
        return Child(
            name=self.name,
            workflow=self.workflow,
            input=asked,
            id=id or self.id(asked),
            tenant=self.tenant(asked),
            summary=self.summary(asked),
        )

    @cached_property
    def _takes_options(self) -> bool:
        return len(inspect.signature(self.saga).parameters) > 1


def _workflow_of(type_: SagaType[Any]) -> type[SagaHandlers]:
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
            known = in_known_shape(options, self.shape)
            self._saga = SagaExecution(type_.steps(asked, known), identity, known)

        async def run(self, asked: Any, options: Any, actor: str, attempt: int) -> SagaResult:
            del options, attempt
            return await type_.run(self._saga, asked, self._saga.options, actor)

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

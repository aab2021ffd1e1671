"""Two releases of the same workflows: the second has other steps, and nothing of the first's."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio import workflow

from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Money
from handrail.sagas.definition import Saga
from handrail.sagas.options import RunOptions, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.worker_versions import MovesOn, continue_as_new, is_version_changed
from handrail.sagas.workflow_handlers import SagaHandlers
from tests.workflows.growing import Before, Grow, run_of, shape_1, shape_2


@workflow.defn(name="Growing")
class OnlyAfter(SagaHandlers):
    """Of a release whose steps changed, and that kept nothing of the shape before."""

    @workflow.init
    def __init__(self, asked: Grow, options: RunOptions, actor: str, attempt: int) -> None:
        self._saga = run_of(shape_2(asked), options, actor, attempt)

    @workflow.run
    async def run(
        self, _asked: Grow, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


def _by_its_shapes(o: Grow, options: RunOptions) -> Saga:
    return {1: shape_1}[options.shape or 1](o)


BY_ITS_SHAPES: Final = SagaType(
    name="Growing",
    purpose="Grow.",
    saga=_by_its_shapes,
    example_input=Grow(customer=CustomerId("c"), order=OrderId("o"), limit=Money(1, "EUR")),
    id=lambda o: o.order,
    summary=lambda o: f"{o.order} grows",
)
"""The first release, which looks its shapes up and fails where it finds none."""
GrowingWorkflow = BY_ITS_SHAPES.workflow


@workflow.defn(name="Waiting")
class WaitingBefore(MovesOn):
    """A process of months, as the first release has it."""

    def __init__(self) -> None:
        self._is_over = False

    @workflow.run
    async def run(self, runs: list[str]) -> list[str]:
        runs = [*runs, "first"]
        await workflow.wait_condition(lambda: self._is_over or is_version_changed())
        if not self._is_over:
            continue_as_new([runs])
        return runs

    @workflow.signal
    def end(self) -> None:
        self._is_over = True


@workflow.defn(name="Waiting")
class WaitingAfter(MovesOn):
    """As the second has it: it begins with a timer, which no history of the first has."""

    def __init__(self) -> None:
        self._is_over = False

    @workflow.run
    async def run(self, runs: list[str]) -> list[str]:
        runs = [*runs, "second"]
        await workflow.sleep(timedelta(milliseconds=1))
        await workflow.wait_condition(lambda: self._is_over or is_version_changed())
        if not self._is_over:
            continue_as_new([runs])
        return runs

    @workflow.signal
    def end(self) -> None:
        self._is_over = True


FIRST: Final = (Before, WaitingBefore)
SECOND: Final = (OnlyAfter, WaitingAfter)

"""A saga whose shape changed once, as the code was before and as it is after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

from domain.credit.commands import AssignLimit, HoldCredit, ReleaseCredit
from domain.identifiers import CustomerId, MerchantId, OrderId
from handrail.kernel import Money
from handrail.sagas.definition import Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers


@dataclass(frozen=True, kw_only=True)
class Grow:
    customer: CustomerId
    order: OrderId
    limit: Money


def _hold(o: Grow) -> Step:
    return Step(
        do=HoldCredit(customer=o.customer, order=o.order, amount=o.limit),
        undo=ReleaseCredit(customer=o.customer, order=o.order),
    )


def shape_1(o: Grow) -> Saga:
    return Saga(compensatable=[], pivot=AssignLimit(customer=o.customer, limit=o.limit), shape=1)


def shape_2(o: Grow) -> Saga:
    return Saga(
        compensatable=[_hold(o)],
        pivot=AssignLimit(customer=o.customer, limit=o.limit),
        shape=2,
    )


SHAPES: Final = {1: shape_1, 2: shape_2}


def run_of(saga: Saga, options: RunOptions, actor: str, attempt: int) -> SagaExecution:
    identity = SagaIdentity(
        saga=workflow.info().workflow_id,
        saga_type="Growing",
        tenant=MerchantId("none"),
        at_stake=Money(1, "EUR"),
        actor=actor,
        attempt=attempt,
    )
    return SagaExecution(saga, identity, options)


@workflow.defn(name="Growing")
class Before(SagaHandlers):
    """Knows one shape."""

    @workflow.init
    def __init__(self, asked: Grow, options: RunOptions, actor: str, attempt: int) -> None:
        self._saga = run_of(shape_1(asked), options, actor, attempt)

    @workflow.run
    async def run(
        self, _asked: Grow, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


@workflow.defn(name="Growing")
class After(SagaHandlers):
    """Begins in the newest shape, and goes on in the one in which it began."""

    @workflow.init
    def __init__(self, asked: Grow, options: RunOptions, actor: str, attempt: int) -> None:
        shape = SHAPES[options.shape or max(SHAPES)]
        self._saga = run_of(shape(asked), options, actor, attempt)

    @workflow.run
    async def run(
        self, _asked: Grow, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()

"""Give up what a customer does not pay: it is lost, and as much is never lent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

from domain.credit.commands import WriteOffDebt
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import WriteOffPlan
from handrail.kernel import Money
from handrail.sagas.definition import Saga, numbered
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.options import ShopOptions

TYPE: Final = "WriteOff"


@dataclass(frozen=True, kw_only=True)
class LostDebt:
    """`principal` is all that the order owes, without fees."""

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    principal: Money


def saga(d: LostDebt) -> Saga:
    return Saga(
        compensatable=[],
        pivot=WriteOffPlan(order=d.order),
        retriable=[WriteOffDebt(customer=d.customer, order=d.order, amount=d.principal)],
    )


def example() -> Saga:
    """That of some plan: its steps are the same for all of them."""
    debt = LostDebt(
        order=OrderId("order-1"),
        customer=CustomerId("customer-1"),
        merchant=MerchantId("merchant-1"),
        principal=Money(75_00, "EUR"),
    )
    return saga(debt)


def saga_id(order: str, write_offs: int = 0) -> str:
    """Of the one that follows so many others of its plan; each is a saga of its own."""
    return numbered(f"writeoff-{order}", write_offs)


def summary(d: LostDebt) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{d.merchant}: {d.principal} is given up"


@workflow.defn(name=TYPE)
class WriteOffWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: LostDebt, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(
            saga(asked),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=TYPE,
                tenant=asked.merchant,
                at_stake=asked.principal,
                actor=actor,
                attempt=attempt,
                input=asked,
            ),
            options,
        )

    @workflow.run
    async def run(
        self, _asked: LostDebt, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Give up what a customer does not pay, and never lend as much again.",
    workflow=WriteOffWorkflow,
    example=example,
)

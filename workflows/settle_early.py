"""Pay at once all that is left of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

from domain.credit.commands import RestoreCredit
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import SettleEarly
from handrail.kernel import Money
from handrail.sagas.definition import Saga, numbered
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.options import ShopOptions

TYPE: Final = "SettleEarly"
PAYMENT: Final = "settlement"
"""The name under which the credit line knows the first of a plan."""


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """All that is outstanding when it is asked for. `card` is a reference, never a number.

    `payment` is what the credit line knows it by, each settlement of a plan by a name of its own:
    there is another where a return that was refused brings something back.
    """

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    principal: Money
    fees: Money
    card: str
    payment: str = PAYMENT

    @property
    def amount(self) -> Money:
        return self.principal + self.fees


def saga(s: Settlement) -> Saga:
    return Saga(
        compensatable=[],
        pivot=SettleEarly(order=s.order, amount=s.amount, card=s.card),
        retriable=[
            RestoreCredit(customer=s.customer, order=s.order, payment=s.payment, amount=s.principal)
        ],
    )


def example() -> Saga:
    """That of some plan: its steps are the same for all of them."""
    settlement = Settlement(
        order=OrderId("order-1"),
        customer=CustomerId("customer-1"),
        merchant=MerchantId("merchant-1"),
        principal=Money(75_00, "EUR"),
        fees=Money(0, "EUR"),
        card="card-1",
    )
    return saga(settlement)


def saga_id(order: str, settlements: int = 0) -> str:
    """Of the settlement that follows so many others of its plan; each is a saga of its own."""
    return numbered(f"settle-{order}", settlements)


def payment_name(settlements: int) -> str:
    return numbered(PAYMENT, settlements)


def summary(s: Settlement) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{s.merchant}: {s.amount}, all that was left"


@workflow.defn(name=TYPE)
class SettleEarlyWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Settlement, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(
            saga(asked),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=TYPE,
                tenant=asked.merchant,
                at_stake=asked.amount,
                actor=actor,
                attempt=attempt,
                input=asked,
            ),
            options,
        )

    @workflow.run
    async def run(
        self, _asked: Settlement, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Pay at once all that is left of a plan.",
    workflow=SettleEarlyWorkflow,
    example=example,
)

"""Pay at once all that is left of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

from domain.credit.commands import RestoreCredit
from domain.kernel import CustomerId, MerchantId, Money, OrderId
from domain.payments.commands import SettleEarly
from workflows.handlers import SagaHandlers
from workflows.messages import RunOptions, SagaIdentity, SagaResult
from workflows.saga import SagaRun
from workflows.shape import Saga

TYPE: Final = "SettleEarly"
PAYMENT: Final = "settlement"
"""The name under which the credit line knows it: a plan is settled once."""


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """All that is outstanding when it is asked for. `card` is a reference, never a number."""

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    principal: Money
    fees: Money
    card: str

    @property
    def amount(self) -> Money:
        return self.principal + self.fees


def saga(s: Settlement) -> Saga:
    return Saga(
        compensatable=[],
        pivot=SettleEarly(order=s.order, amount=s.amount, card=s.card),
        retriable=[
            RestoreCredit(customer=s.customer, order=s.order, payment=PAYMENT, amount=s.principal)
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


def saga_id(order: str) -> str:
    return f"settle-{order}"


def summary(s: Settlement) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{s.merchant}: {s.amount}, all that was left"


@workflow.defn(name=TYPE)
class SettleEarlyWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Settlement, options: RunOptions, actor: str, attempt: int) -> None:
        self._saga = SagaRun(
            saga(asked),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=TYPE,
                merchant=asked.merchant,
                at_stake=asked.amount,
                actor=actor,
                attempt=attempt,
            ),
            options,
        )

    @workflow.run
    async def run(
        self, _asked: Settlement, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()

"""Give up what a customer does not pay: it is lost, and as much is never lent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.credit.commands import WriteOffDebt
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import WriteOffPlan
from handrail.kernel import Money
from handrail.sagas.definition import Saga, numbered
from handrail.sagas.saga_type import SagaType
from workflows.customers import subject_of_customer

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


EXAMPLE: Final = LostDebt(
    order=OrderId("order-1"),
    customer=CustomerId("customer-1"),
    merchant=MerchantId("merchant-1"),
    principal=Money(75_00, "EUR"),
)


def saga_id(order: str, write_offs: int = 0) -> str:
    """Of the one that follows so many others of its plan; each is a saga of its own."""
    return numbered(f"writeoff-{order}", write_offs)


def summary(d: LostDebt) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{d.merchant}: {d.principal} is given up"


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Give up what a customer does not pay, and never lend as much again.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.order),
    summary=summary,
    tenant=lambda asked: asked.merchant,
    at_stake=lambda asked: asked.principal,
    subject=lambda asked: subject_of_customer(asked.customer),
)
WriteOffWorkflow = SAGA.workflow

"""Pay at once all that is left of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from domain.credit.commands import RestoreCredit
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import SettleEarly
from handrail.kernel import Money
from handrail.personal import Personal
from handrail.sagas.definition import Saga, numbered
from handrail.sagas.saga_type import SagaType
from workflows.customers import subject_of_customer

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
    card: Annotated[str, Personal(subject="customer")]
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


EXAMPLE: Final = Settlement(
    order=OrderId("order-1"),
    customer=CustomerId("customer-1"),
    merchant=MerchantId("merchant-1"),
    principal=Money(75_00, "EUR"),
    fees=Money(0, "EUR"),
    card="card-1",
)


def saga_id(order: str, settlements: int = 0) -> str:
    """Of the settlement that follows so many others of its plan; each is a saga of its own."""
    return numbered(f"settle-{order}", settlements)


def payment_name(settlements: int) -> str:
    return numbered(PAYMENT, settlements)


def summary(s: Settlement) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{s.merchant}: {s.amount}, all that was left"


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Pay at once all that is left of a plan.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.order),
    summary=summary,
    tenant=lambda asked: asked.merchant,
    at_stake=lambda asked: asked.amount,
    subject=lambda asked: subject_of_customer(asked.customer),
)
SettleEarlyWorkflow = SAGA.workflow

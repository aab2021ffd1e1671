"""Erase a customer: refused while something is open, and after that there is no way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain.customers.commands import (
    ConfirmErasure,
    DestroyCustomerKeys,
    RemoveCustomerData,
    RequestErasure,
)
from domain.identifiers import CustomerId
from handrail.sagas.definition import Saga, numbered
from handrail.sagas.saga_type import SagaType

TYPE: Final = "EraseCustomer"


@dataclass(frozen=True, kw_only=True)
class EraseCustomer:
    """`customer` is a pseudonym, and `by` who asked for the erasure: both stay. `before` is how
    many erasures of the customer are over: each is a saga of its own.
    """

    customer: CustomerId
    by: str
    requested_at: datetime
    before: int = 0


def saga(e: EraseCustomer) -> Saga:
    return Saga(
        compensatable=[],
        pivot=RequestErasure(customer=e.customer, by=e.by, requested_at=e.requested_at),
        retriable=[
            DestroyCustomerKeys(customer=e.customer, by=e.by),
            RemoveCustomerData(customer=e.customer),
            ConfirmErasure(customer=e.customer),
        ],
    )


EXAMPLE: Final = EraseCustomer(
    customer=CustomerId("customer-1"),
    by="privacy@shop.example",
    requested_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def saga_id(customer: str, before: int = 0) -> str:
    return numbered(f"erasure-{customer}", before)


def summary(e: EraseCustomer) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"asked for by {e.by}"


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Destroy a customer's keys, delete what is about them, and keep the proof.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.customer, asked.before),
    summary=summary,
)
EraseCustomerWorkflow = SAGA.workflow

"""What becomes of an order's parcels: they are dispatched, and delivered or lost.

Each is a saga of its own, which begins when the carrier says so. The stock leaves the house with
the first of them: reports get lost, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.commands import ShipStock
from domain.ordering.commands import CompleteOrder
from domain.shipping.commands import RecordDelivery, RecordDispatch, RecordLoss
from handrail.kernel import Money
from handrail.personal import Personal
from handrail.sagas.definition import Saga
from handrail.sagas.saga_type import SagaType
from workflows.customers import subject_of_customer

NOT_KNOWN: Final = CustomerId("")
DISPATCH: Final = "Dispatch"
DELIVERED: Final = "Delivered"
LOSS: Final = "Loss"


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """What was reported of the parcels of an order, and when; `cause` is for those that are lost.

    `value` is what the order cost. `customer` is empty in what was begun before it was a field.
    """

    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]
    value: Money
    at: datetime
    customer: CustomerId = NOT_KNOWN
    cause: Annotated[str, Personal(subject="customer")] = ""


def dispatch(p: Parcels) -> Saga:
    return Saga(
        compensatable=[],
        pivot=RecordDispatch(order=p.order, at=p.at),
        retriable=[_ship(p)],
    )


def delivered(p: Parcels) -> Saga:
    return Saga(
        compensatable=[],
        pivot=RecordDelivery(order=p.order, at=p.at),
        retriable=[_ship(p), CompleteOrder(order=p.order, completed_at=p.at)],
    )


def loss(p: Parcels) -> Saga:
    return Saga(
        compensatable=[],
        pivot=RecordLoss(order=p.order, at=p.at, cause=p.cause),
        retriable=[_ship(p)],
    )


def _ship(p: Parcels) -> ShipStock:
    """Decides nothing where the stock has left the house before."""
    return ShipStock(order=p.order, merchant=p.merchant, skus=p.skus)


EXAMPLE: Final = Parcels(
    order=OrderId("order-1"),
    merchant=MerchantId("merchant-1"),
    skus=(Sku("cup"),),
    value=Money(100_00, "EUR"),
    at=datetime(2026, 1, 1, tzinfo=UTC),
    customer=CustomerId("customer-1"),
    cause="not found",
)


def summary(p: Parcels) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{p.merchant}: {p.value}"


def _type(
    name: str, prefix: str, purpose: str, saga: Callable[[Parcels], Saga]
) -> SagaType[Parcels]:
    return SagaType(
        name=name,
        purpose=purpose,
        saga=saga,
        example_input=EXAMPLE,
        id=lambda asked: f"{prefix}-{asked.order}",
        summary=summary,
        tenant=lambda asked: asked.merchant,
        at_stake=lambda asked: asked.value,
        subject=lambda asked: subject_of_customer(asked.customer),
    )


DISPATCH_SAGA: Final = _type(
    DISPATCH,
    "dispatch",
    "The parcels are on their way, and the stock has left the house.",
    dispatch,
)
DELIVERED_SAGA: Final = _type(
    DELIVERED, "delivered", "The customer has the parcels, and the order is completed.", delivered
)
LOSS_SAGA: Final = _type(LOSS, "lost", "The parcels are lost, and so is the stock.", loss)
DispatchWorkflow = DISPATCH_SAGA.workflow
DeliveredWorkflow = DELIVERED_SAGA.workflow
LossWorkflow = LOSS_SAGA.workflow

"""What becomes of an order's parcels: they are dispatched, and delivered or lost.

Each is a saga of its own, which begins when the carrier says so. The stock leaves the house with
the first of them: reports get lost, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio import workflow

from domain.identifiers import MerchantId, OrderId, Sku
from domain.inventory.commands import ShipStock
from domain.ordering.commands import CompleteOrder
from domain.shipping.commands import RecordDelivery, RecordDispatch, RecordLoss
from handrail.kernel import Money
from handrail.sagas.definition import Saga
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.options import ShopOptions

DISPATCH: Final = "Dispatch"
DELIVERED: Final = "Delivered"
LOSS: Final = "Loss"


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """What was reported of the parcels of an order, and when; `cause` is for those that are lost.

    `value` is what the order cost.
    """

    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]
    value: Money
    at: datetime
    cause: str = ""


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


_SOME: Final = Parcels(
    order=OrderId("order-1"),
    merchant=MerchantId("merchant-1"),
    skus=(Sku("cup"),),
    value=Money(100_00, "EUR"),
    at=datetime(2026, 1, 1, tzinfo=UTC),
    cause="not found",
)


def example_of_dispatch() -> Saga:
    return dispatch(_SOME)


def example_of_delivered() -> Saga:
    return delivered(_SOME)


def example_of_loss() -> Saga:
    return loss(_SOME)


def summary(p: Parcels) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{p.merchant}: {p.value}"


def _identity(type_: str, parcels: Parcels, actor: str, attempt: int) -> SagaIdentity:
    return SagaIdentity(
        saga=workflow.info().workflow_id,
        saga_type=type_,
        tenant=parcels.merchant,
        at_stake=parcels.value,
        actor=actor,
        attempt=attempt,
        input=parcels,
    )


@workflow.defn(name=DISPATCH)
class DispatchWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, parcels: Parcels, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(
            dispatch(parcels), _identity(DISPATCH, parcels, actor, attempt), options
        )

    @workflow.run
    async def run(
        self, _parcels: Parcels, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


@workflow.defn(name=DELIVERED)
class DeliveredWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, parcels: Parcels, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(
            delivered(parcels), _identity(DELIVERED, parcels, actor, attempt), options
        )

    @workflow.run
    async def run(
        self, _parcels: Parcels, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


@workflow.defn(name=LOSS)
class LossWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, parcels: Parcels, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(loss(parcels), _identity(LOSS, parcels, actor, attempt), options)

    @workflow.run
    async def run(
        self, _parcels: Parcels, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


DISPATCH_SAGA: Final = SagaType(
    name=DISPATCH,
    purpose="The parcels are on their way, and the stock has left the house.",
    workflow=DispatchWorkflow,
    example=example_of_dispatch,
)

DELIVERED_SAGA: Final = SagaType(
    name=DELIVERED,
    purpose="The customer has the parcels, and the order is completed.",
    workflow=DeliveredWorkflow,
    example=example_of_delivered,
)

LOSS_SAGA: Final = SagaType(
    name=LOSS,
    purpose="The parcels are lost, and so is the stock.",
    workflow=LossWorkflow,
    example=example_of_loss,
)

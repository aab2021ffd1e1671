"""Check out an order: promise stock and credit, take the down payment, and see the rest done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

from domain.credit.commands import ConsumeCredit, HoldCredit, ReleaseCredit
from domain.inventory.commands import ReleaseStock, ReserveStock, StockLine
from domain.kernel import CustomerId, MerchantId, Money, OrderId
from domain.ordering.commands import ConfirmOrder, PlaceOrder, RejectOrder
from domain.ordering.events import OrderLine
from domain.ordering.terms import down_payment
from domain.payments.commands import AuthoriseDownPayment, CapturePayment, VoidPayment
from domain.settlement.commands import AccruePayable
from domain.shipping.commands import BookShipment
from workflows.messages import (
    Cancellation,
    Decision,
    Intervention,
    RunOptions,
    SagaIdentity,
    SagaResult,
)
from workflows.saga import SagaRun
from workflows.shape import Parallel, Saga, Step


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What a customer asks for. `card` and `ship_to` are references, never numbers or addresses."""

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    instalments: int
    card: str
    ship_to: str
    placed_at: datetime


def saga(o: Checkout) -> Saga:
    now = down_payment(o.total, o.instalments)
    return Saga(
        compensatable=[
            Step(
                do=PlaceOrder(
                    order=o.order,
                    customer=o.customer,
                    merchant=o.merchant,
                    lines=o.lines,
                    total=o.total,
                    down_payment=now,
                    instalments=o.instalments,
                    placed_at=o.placed_at,
                ),
                undo=RejectOrder(order=o.order),
            ),
            Parallel(
                Step(
                    do=ReserveStock(
                        order=o.order,
                        merchant=o.merchant,
                        lines=tuple(
                            StockLine(sku=line.sku, quantity=line.quantity) for line in o.lines
                        ),
                    ),
                    undo=ReleaseStock(
                        order=o.order,
                        merchant=o.merchant,
                        skus=tuple(line.sku for line in o.lines),
                    ),
                ),
                Step(
                    do=HoldCredit(customer=o.customer, order=o.order, amount=o.total - now),
                    undo=ReleaseCredit(customer=o.customer, order=o.order),
                ),
            ),
            Step(
                do=AuthoriseDownPayment(order=o.order, amount=now, card=o.card),
                undo=VoidPayment(order=o.order),
            ),
        ],
        pivot=CapturePayment(order=o.order, amount=now),
        retriable=[
            ConfirmOrder(order=o.order),
            ConsumeCredit(customer=o.customer, order=o.order),
            AccruePayable(merchant=o.merchant, order=o.order, gross=o.total),
            BookShipment(order=o.order, merchant=o.merchant, ship_to=o.ship_to, parcels=1),
        ],
    )


def summary(o: Checkout) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{o.merchant}: {o.total} in {o.instalments} instalments"


def details(o: Checkout) -> str:
    """What the Temporal UI shows of a checkout, in Markdown. Nothing personal."""
    lines = "\n".join(f"- {line.quantity} x {line.sku} at {line.unit_price}" for line in o.lines)
    return f"Order `{o.order}` at `{o.merchant}`\n\n{lines}"


@workflow.defn(name="Checkout")
class CheckoutWorkflow:
    @workflow.init
    def __init__(self, checkout: Checkout, options: RunOptions, actor: str) -> None:
        self._saga = SagaRun(
            saga(checkout),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type="Checkout",
                merchant=checkout.merchant,
                at_stake=checkout.total,
                actor=actor,
            ),
            options,
        )

    @workflow.run
    async def run(self, _checkout: Checkout, _options: RunOptions, _actor: str) -> SagaResult:
        return await self._saga.run()

    @workflow.update(description="Wait for the decision: approved, or refused with the reason.")
    async def decision(self) -> Decision:
        return await self._saga.decided()

    @workflow.update(description="Take everything back; refused once the payment is being taken.")
    def cancel(self, cancellation: Cancellation) -> None:
        self._saga.cancel(cancellation)

    @cancel.validator
    def _may_cancel(self, cancellation: Cancellation) -> None:  # noqa: ARG002  # what it validates
        self._saga.may_cancel()

    @workflow.update(description="Let a parked step go on: retry it, or take everything back.")
    def intervene(self, intervention: Intervention) -> None:
        self._saga.intervene(intervention)

    @intervene.validator
    def _may_intervene(self, intervention: Intervention) -> None:
        self._saga.may_intervene(intervention)

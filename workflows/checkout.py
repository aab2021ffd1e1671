"""Check out an order: promise stock and credit, take the down payment, and see the rest done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from domain.credit.commands import ConsumeCredit, HoldCredit, ReleaseCredit
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.commands import ReleaseStock, ReserveStock, StockLine
from domain.ordering.commands import (
    CloseReview,
    ConfirmOrder,
    PlaceOrder,
    RejectOrder,
    RequestReview,
)
from domain.ordering.events import OrderLine
from domain.ordering.terms import down_payment
from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    OpenPlan,
    VoidPayment,
)
from domain.payments.due_dates import months_after
from domain.settlement.commands import AccruePayable
from domain.shipping.commands import BookShipment
from handrail.kernel import Command, Money
from handrail.personal import Personal
from handrail.sagas.cancellation import run_uncancellable, side_by_side
from handrail.sagas.child_workflows import Child, start_process
from handrail.sagas.definition import Parallel, RetriableStep, Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaResult
from handrail.sagas.saga_type import SagaType
from workflows import deliver_order, plan_collection
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.customers import subject_of_customer
from workflows.deliver_order import DeliverOrder, DeliverOrderWorkflow
from workflows.options import ShopOptions
from workflows.plan_collection import CollectInstalments

AS_USUAL: Final = ShopOptions()


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What a customer asks for. `card` and `ship_to` are references, never numbers or addresses."""

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    instalments: int
    card: Annotated[str, Personal(subject="customer")]
    ship_to: Annotated[str, Personal(subject="customer")]
    placed_at: datetime


def saga(o: Checkout, options: ShopOptions = AS_USUAL) -> Saga:
    duties = SHAPES[options.shape or NEWEST]
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
            *_review(o, options),
        ],
        pivot=CapturePayment(order=o.order, amount=now),
        retriable=duties(
            ConfirmOrder(order=o.order),
            ConsumeCredit(customer=o.customer, order=o.order),
            AccruePayable(merchant=o.merchant, order=o.order, gross=o.total),
            OpenPlan(
                order=o.order,
                customer=o.customer,
                financed=o.total - now,
                instalments=o.instalments,
                card=o.card,
                first_due=months_after(o.placed_at.date(), 1),
                day=o.placed_at.day,
            ),
            BookShipment(order=o.order, merchant=o.merchant, ship_to=o.ship_to, parcels=1),
        ),
        shape=options.shape or NEWEST,
        repeats="never",
    )


def _one_after_the_other(*duties: Command) -> Sequence[Command]:
    return duties


def _the_last_alone(*duties: Command) -> Sequence[Command | Parallel[Command | RetriableStep]]:
    """In our own books side by side; the carrier is asked for when all of it is certain."""
    *ours, last = duties
    return [Parallel(*ours), last]


SHAPES: Final[
    Mapping[int, Callable[..., Sequence[Command | Parallel[Command | RetriableStep]]]]
] = {
    1: _one_after_the_other,
    2: _the_last_alone,
}
"""How the duties follow each other."""
NEWEST: Final = max(SHAPES)


def _is_reviewed(o: Checkout, options: ShopOptions) -> bool:
    return options.review_above is not None and o.total.amount > options.review_above


def _review(o: Checkout, options: ShopOptions) -> Sequence[Step]:
    """The last before the pivot: nobody looks at an order that cannot be paid for."""
    if not _is_reviewed(o, options):
        return []
    within = timedelta(seconds=options.review_seconds)
    return [
        Step(
            do=RequestReview(order=o.order, total=o.total),
            undo=CloseReview(order=o.order),
            answered_within=within,
            reminded_after=within / 2,
        )
    ]


EXAMPLE: Final = Checkout(
    order=OrderId("order-1"),
    customer=CustomerId("customer-1"),
    merchant=MerchantId("merchant-1"),
    lines=(OrderLine(sku=Sku("cup"), quantity=2, unit_price=Money(50_00, "EUR")),),
    total=Money(100_00, "EUR"),
    instalments=3,
    card="card-1",
    ship_to="address-1",
    placed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def example_of_reviewed() -> Saga:
    """Of an order so dear that a risk officer looks at it."""
    return saga(EXAMPLE, ShopOptions(review_above=0))


def summary(o: Checkout) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{o.merchant}: {o.total} in {o.instalments} instalments"


def details(o: Checkout) -> str:
    """What the Temporal UI shows of a checkout, in Markdown. Nothing personal."""
    lines = "\n".join(f"- {line.quantity} x {line.sku} at {line.unit_price}" for line in o.lines)
    return f"Order `{o.order}` at `{o.merchant}`\n\n{lines}"


async def _run(
    execution: SagaExecution, checkout: Checkout, options: ShopOptions, actor: str
) -> SagaResult:
    result = await execution.run()
    if result.ending == "completed":
        await run_uncancellable(_begin_what_follows(checkout, options, actor))
    return result


async def _begin_what_follows(o: Checkout, options: ShopOptions, actor: str) -> None:
    """What takes months is no part of the saga, and outlives it."""
    collecting = Child(
        name=plan_collection.TYPE,
        workflow=CollectInstalmentsWorkflow,
        input=CollectInstalments(
            order=o.order, customer=o.customer, merchant=o.merchant, terms=options.terms
        ),
        id=plan_collection.workflow_id(o.order),
        tenant=o.merchant,
        summary=f"{o.merchant}: {o.instalments} instalments",
    )
    delivering = Child(
        name=deliver_order.TYPE,
        workflow=DeliverOrderWorkflow,
        input=DeliverOrder(
            order=o.order,
            customer=o.customer,
            merchant=o.merchant,
            skus=tuple(line.sku for line in o.lines),
            total=o.total,
        ),
        id=deliver_order.workflow_id(o.order),
        tenant=o.merchant,
        summary=f"{o.merchant}: {o.total}",
    )
    both = (
        start_process(collecting, options, actor, None),
        start_process(delivering, options, actor),
    )
    if (options.shape or NEWEST) > 1:
        await side_by_side(both)
    else:
        for one in both:
            await one


SAGA: Final = SagaType(
    name="Checkout",
    purpose="Promise stock and credit, take the down payment, and see the rest done.",
    saga=saga,
    options=ShopOptions,
    example_input=EXAMPLE,
    id=lambda checkout: checkout.order,
    summary=summary,
    details=details,
    tenant=lambda checkout: checkout.merchant,
    at_stake=lambda checkout: checkout.total,
    subject=lambda checkout: subject_of_customer(checkout.customer),
    run=_run,
)
CheckoutWorkflow = SAGA.workflow

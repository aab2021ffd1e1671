"""Take something back that was bought: what it cost is no longer due, or is paid back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Final

from temporalio import workflow

from domain.credit.commands import RestoreCredit
from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId, Sku
from domain.inventory.commands import Restock, StockLine
from domain.ordering.commands import AcceptReturn, CompleteReturn, WithdrawReturn
from domain.ordering.events import ReturnLine, Why
from domain.payments.commands import AdjustPlan, RefundPayment, RevertAdjustment
from domain.settlement.commands import ClawBack
from handrail.kernel import Command, Money
from handrail.personal import Personal
from handrail.sagas.cancellation import run_uncancellable
from handrail.sagas.definition import Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaResult
from handrail.sagas.saga_type import SagaType
from workflows.collect_instalments import is_collected
from workflows.customers import subject_of_customer
from workflows.options import ShopOptions
from workflows.plan_collection import CollectInstalments

TYPE: Final = "ReturnOrder"
COLLECTS_AGAIN: Final = "collects-what-came-back"
"""The patch from which on a return that is taken back sees to who collects the plan."""
BEFORE_ITS_END: Final = "collects-before-its-end"
"""The patch from which on it does so before its end is recorded."""


@dataclass(frozen=True, kw_only=True)
class ReturnOrder:
    """What comes back, or was lost on its way, and what that is worth.

    `absorbed` of its `value` is no longer due, and the rest is `refund`: as it was quoted. A plan
    that has moved on since then refuses. `reason` is the customer's own, and stored nowhere else.
    """

    return_id: ReturnId
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[ReturnLine, ...]
    value: Money
    absorbed: Money
    refund: Money
    why: Why
    accepted_at: datetime
    reason: Annotated[str, Personal(subject="customer")] = ""


def saga(r: ReturnOrder) -> Saga:
    return Saga(
        compensatable=[
            Step(
                do=AcceptReturn(
                    order=r.order,
                    return_id=r.return_id,
                    lines=r.lines,
                    value=r.value,
                    why=r.why,
                    accepted_at=r.accepted_at,
                ),
                undo=WithdrawReturn(order=r.order, return_id=r.return_id),
            ),
            Step(
                do=AdjustPlan(
                    order=r.order, return_id=r.return_id, value=r.value, absorbed=r.absorbed
                ),
                undo=RevertAdjustment(order=r.order, return_id=r.return_id),
            ),
        ],
        pivot=RefundPayment(order=r.order, return_id=r.return_id, amount=r.refund),
        retriable=[
            RestoreCredit(
                customer=r.customer, order=r.order, payment=r.return_id, amount=r.absorbed
            ),
            *_into_stock(r),
            ClawBack(merchant=r.merchant, order=r.order, return_id=r.return_id, gross=r.value),
            CompleteReturn(order=r.order, return_id=r.return_id),
        ],
    )


def _into_stock(r: ReturnOrder) -> Sequence[Command]:
    """What was lost does not come back."""
    if r.why == "lost":
        return []
    return [
        Restock(
            merchant=r.merchant,
            return_id=r.return_id,
            order=r.order,
            lines=tuple(StockLine(sku=line.sku, quantity=line.quantity) for line in r.lines),
        )
    ]


EXAMPLE: Final = ReturnOrder(
    return_id=ReturnId("return-1"),
    order=OrderId("order-1"),
    customer=CustomerId("customer-1"),
    merchant=MerchantId("merchant-1"),
    lines=(ReturnLine(sku=Sku("cup"), quantity=1),),
    value=Money(50_00, "EUR"),
    absorbed=Money(40_00, "EUR"),
    refund=Money(10_00, "EUR"),
    why="returned",
    accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def example_of_lost() -> Saga:
    """Of goods that were lost: nothing goes back into stock."""
    return saga(replace(EXAMPLE, why="lost"))


def saga_id(return_id: str) -> str:
    return f"return-{return_id}"


def summary(r: ReturnOrder) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{r.merchant}: {r.value} {r.why}, {r.refund} refunded"


def details(r: ReturnOrder) -> str:
    """What the Temporal UI shows of a return, in Markdown. Nothing personal."""
    lines = "\n".join(f"- {line.quantity} x {line.sku}" for line in r.lines)
    return f"Of order `{r.order}` at `{r.merchant}`, {r.why}\n\n{lines}"


async def _run(
    execution: SagaExecution, asked: ReturnOrder, options: ShopOptions, actor: str
) -> SagaResult:
    is_seen_to = False

    async def before_end(result: SagaResult) -> None:
        """While its adjustment stood nothing may have been due, and the collection have ended."""
        nonlocal is_seen_to
        if result.ending != "completed" and workflow.patched(BEFORE_ITS_END):
            await _collect_what_came_back(asked, options, actor)
            is_seen_to = True

    async def after_end() -> None:
        """In workflows that recorded their end before this was seen to."""
        if not is_seen_to and workflow.patched(COLLECTS_AGAIN):
            await _collect_what_came_back(asked, options, actor)

    try:
        result = await execution.run(before_end=before_end)
    except asyncio.CancelledError:
        await run_uncancellable(after_end())
        raise
    if result.ending != "completed":
        await run_uncancellable(after_end())
    return result


async def _collect_what_came_back(asked: ReturnOrder, options: ShopOptions, actor: str) -> None:
    plan = CollectInstalments(
        order=asked.order, customer=asked.customer, merchant=asked.merchant, terms=options.terms
    )
    await is_collected(plan, options, actor)


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Take something back: what it cost is no longer due, or is paid back.",
    saga=saga,
    options=ShopOptions,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.return_id),
    summary=summary,
    details=details,
    tenant=lambda asked: asked.merchant,
    at_stake=lambda asked: asked.value,
    subject=lambda asked: subject_of_customer(asked.customer),
    run=_run,
)
ReturnOrderWorkflow = SAGA.workflow

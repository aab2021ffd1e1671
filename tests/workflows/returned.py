"""An order that was bought and delivered, and what comes back of it."""

from __future__ import annotations

from typing import Any

from domain.identifiers import ReturnId
from domain.inventory.commands import ShipStock
from domain.ordering.commands import CompleteOrder
from domain.ordering.events import ReturnLine, Why
from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from domain.payments.commands import CollectInstalment
from domain.payments.plan_state import InstalmentPlan
from handrail.testing.running_saga import Running
from tests.controls import NOON, readable_id
from tests.workflows.asked import does, reads
from tests.workflows.ordered import Ordered
from tests.world import World
from workflows import return_order
from workflows.return_order import ReturnOrder, ReturnOrderWorkflow


async def a_bought_order(world: World, **how: Any) -> Ordered:
    """Paid in part, and on its way."""
    order = await world.an_order(**how)
    await order.starts()
    await order.ends()
    return order


async def a_delivered_order(world: World, **how: Any) -> Ordered:
    order = await a_bought_order(world, **how)
    bought = order.input
    skus = tuple(line.sku for line in bought.lines)
    await does(world, ShipStock(order=bought.order, merchant=bought.merchant, skus=skus))
    await does(world, CompleteOrder(order=bought.order, completed_at=NOON))
    return order


async def an_instalment_is_paid(order: Ordered, number: int) -> None:
    plan = await plan_of(order)
    one = plan.instalment(number)
    assert one is not None
    collect = CollectInstalment(
        order=order.input.order, number=number, amount=one.amount, card=plan.card
    )
    await does(order.world, collect)


async def a_return(
    order: Ordered, *, quantity: int | None = None, why: Why = "returned"
) -> Running:
    """As it is quoted now, of so many pieces of the first line or of everything; not begun."""
    sku = order.input.lines[0].sku
    lines = (ReturnLine(sku=sku, quantity=quantity),) if quantity else ()
    quote = await quoted(order, lines, why)
    return_id = ReturnId(readable_id("return"))
    return Running(
        world=order.world,
        id=return_order.saga_id(return_id),
        workflow=ReturnOrderWorkflow,
        input=ReturnOrder(
            return_id=return_id,
            order=order.input.order,
            customer=quote.customer,
            merchant=quote.merchant,
            lines=quote.lines,
            value=quote.value,
            absorbed=quote.absorbed,
            refund=quote.refund,
            why=why,
            accepted_at=NOON,
        ),
        options=order.options,
    )


async def quoted(order: Ordered, lines: tuple[ReturnLine, ...], why: Why) -> ReturnQuote:
    of = QuoteReturnOf(order=order.input.order, lines=lines, why=why)
    return await reads(order.world, "QuoteReturn", [of], ReturnQuote)


async def plan_of(order: Ordered) -> InstalmentPlan:
    return await reads(order.world, "ReadPlan", [order.id], InstalmentPlan)

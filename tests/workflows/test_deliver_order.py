"""What the carrier says, in any order, or does not say, decides what becomes of an order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.testing import WorkflowEnvironment

from domain.payments.events import PlanMovedOn
from domain.shipping.events import ShipmentDelivered, ShipmentDispatched, ShipmentLost
from handrail.kernel import Money, stream_name
from handrail.sagas.events import SagaEnded
from handrail.sagas.visibility import FAILURE_CODE
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import Running, eventually
from tests.controls import NOON, eur
from tests.workflows.collecting import skipping_time, told
from tests.workflows.ordered import TODAY, Ordered
from tests.workflows.returned import an_instalment_is_paid, plan_of
from tests.workflows.steps import side_by_side
from tests.world import World
from workflows import return_order
from workflows.carrier_notice import CarrierNotice
from workflows.deliver_order import (
    NOTICES_A_RUN,
    DeliverOrder,
    DeliverOrderWorkflow,
    Progress,
)
from workflows.parcels import LossWorkflow
from workflows.return_order import ReturnOrderWorkflow

DISPATCHED = CarrierNotice(id="1", kind="dispatched", at=NOON)
DELIVERED = CarrierNotice(id="2", kind="delivered", at=NOON)
LOST = CarrierNotice(id="3", kind="lost", at=NOON, cause="fell off the lorry")


async def an_order_on_its_way(world: World, **how: Any) -> Ordered:
    order = await world.an_order(**how)
    await order.starts()
    await order.ends()
    return order


async def carrier_tells(order: Ordered, *notices: CarrierNotice) -> None:
    handle = order.world.client.get_workflow_handle(f"delivery-{order.id}")
    for notice in notices:
        await handle.signal(DeliverOrderWorkflow.carrier_told, notice)


async def what_became_of(order: Ordered) -> str:
    handle = order.world.client.get_workflow_handle(f"delivery-{order.id}", result_type=str)
    async with asyncio.timeout(A_LONG_TIME):
        return str(await handle.result())


async def begins_anew(order: Ordered, soon: World, progress: Progress | None = None) -> None:
    """The delivery alone: with all that is begun by the order, time would be skipped for the
    instalments too, which would be collected while the refund is quoted, again and again.
    """
    id_, o = f"delivery-{order.id}", order.input
    await order.world.client.get_workflow_handle(id_).terminate("a test")
    delivering = DeliverOrder(
        order=o.order,
        customer=o.customer,
        merchant=o.merchant,
        skus=tuple(line.sku for line in o.lines),
        total=o.total,
    )
    await soon.client.start_workflow(
        DeliverOrderWorkflow.run,
        args=[replace(delivering, progress=progress), order.options, "a test"],
        id=id_,
        task_queue=f"{soon.queue_prefix}sagas",
    )


async def refunded(order: Ordered) -> list[Money]:
    ledger = (await order.world.bank.get("/ledger")).json()
    refunds = [one for one in ledger["refunds"] if one["order"] == order.id]
    return [Money(one["amount"], one["currency"]) for one in refunds]


@side_by_side
async def test_what_is_dispatched_leaves_the_house_and_what_is_delivered_is_completed(
    world: World,
) -> None:
    order = await an_order_on_its_way(world)
    await carrier_tells(order, DISPATCHED)

    async def left_the_house() -> bool:
        books = await order.books()
        return (books.stock.reserved, books.order.status) == (0, "confirmed")

    await eventually(left_the_house, "the stock has left the house")
    await carrier_tells(order, DELIVERED)
    assert await what_became_of(order) == "delivered"
    books = await order.books()
    assert (books.order.status, books.shipment.status) == ("completed", "delivered")


@pytest.mark.thorough
@side_by_side
async def test_a_delivery_whose_dispatch_was_not_reported_ships_the_stock_too(
    world: World,
) -> None:
    order = await an_order_on_its_way(world)
    await carrier_tells(order, DELIVERED)
    assert await what_became_of(order) == "delivered"
    books = await order.books()
    assert (books.order.status, books.stock.reserved) == ("completed", 0)


@side_by_side
async def test_reports_that_come_twice_count_once(world: World) -> None:
    order = await an_order_on_its_way(world)
    await carrier_tells(order, DISPATCHED, DISPATCHED, replace(DISPATCHED, id="4"))
    shipment = stream_name("shipment", order.id)

    async def dispatched() -> bool:
        return bool(await told(world, shipment, ShipmentDispatched))

    await eventually(dispatched, "the dispatch is recorded")
    await carrier_tells(order, DISPATCHED, DELIVERED, DELIVERED)
    assert await what_became_of(order) == "delivered"
    assert len(await told(world, shipment, ShipmentDispatched)) == 1
    assert len(await told(world, shipment, ShipmentDelivered)) == 1
    assert len(await told(world, stream_name("saga", f"dispatch-{order.id}"), SagaEnded)) == 1


@side_by_side
async def test_what_is_lost_is_paid_back_and_no_longer_due(world: World) -> None:
    order = await an_order_on_its_way(world)
    before = await plan_of(order)
    await carrier_tells(order, LOST)
    assert await what_became_of(order) == "lost"
    books = await order.books()
    assert (books.order.status, books.shipment.status) == ("returned", "lost")
    assert books.credit.debts == {}
    assert books.merchant.balance == eur(0)
    assert (await plan_of(order)).outstanding == eur(0)
    assert await refunded(order) == [order.input.total - before.outstanding]


@side_by_side
async def test_the_refund_is_quoted_anew_when_an_instalment_was_paid_meanwhile(
    world: World,
) -> None:
    order = await an_order_on_its_way(world)
    refund = Running(
        world=world,
        id=return_order.saga_id(f"{order.id}-lost"),
        workflow=ReturnOrderWorkflow,
        input=None,
        options=order.options,
    )
    gate = refund.is_held("AdjustPlan")
    await carrier_tells(order, LOST)
    await gate.reached()
    await an_instalment_is_paid(order, 1)
    refund.recovers("AdjustPlan")
    gate.open()
    assert await what_became_of(order) == "lost"
    assert len(await told(world, stream_name("plan", order.id), PlanMovedOn)) == 1
    paid = order.input.total - (await plan_of(order)).financed + eur(25_00)
    assert await refunded(order) == [paid]


async def test_what_nobody_hears_of_is_lost(world: World, temporal: WorkflowEnvironment) -> None:
    order = await an_order_on_its_way(world)
    await begins_anew(order, skipping_time(world, temporal))
    assert await what_became_of(order) == "lost"
    [lost] = await told(world, stream_name("shipment", order.id), ShipmentLost)
    assert lost.cause == "not heard of within 5 days after it was booked"
    assert (await order.books()).order.status == "returned"


def saga_of(order: Ordered, prefix: str) -> Running:
    return Running(
        world=order.world,
        id=f"{prefix}-{order.id}",
        workflow=LossWorkflow,
        input=None,
        options=order.options,
    )


@side_by_side
async def test_a_notice_that_says_otherwise_once_it_is_lost_is_shown_to_a_person(
    world: World,
) -> None:
    order = await an_order_on_its_way(world)
    gate = saga_of(order, "lost").is_held("RecordLoss")
    await carrier_tells(order, LOST)
    await gate.reached()
    await carrier_tells(order, DELIVERED)
    gate.open()
    assert await what_became_of(order) == "lost"
    handle = world.client.get_workflow_handle(f"delivery-{order.id}")
    shown = (await handle.describe()).typed_search_attributes
    assert shown.get(FAILURE_CODE) == f"told to be delivered, too: {DELIVERED.id}"
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert f"notice {DELIVERED.id} says delivered" in metadata.current_details
    assert len(await refunded(order)) == 1
    assert (await order.books()).order.status == "returned"


@pytest.mark.thorough
@side_by_side
async def test_more_notices_than_one_run_takes_are_heard_by_the_next(world: World) -> None:
    order = await an_order_on_its_way(world)
    handle = world.client.get_workflow_handle(f"delivery-{order.id}")
    first = (await handle.describe()).run_id
    await carrier_tells(order, *[DISPATCHED] * NOTICES_A_RUN)

    async def goes_on() -> bool:
        return (await handle.describe()).run_id != first

    await eventually(goes_on, "it goes on as a new run")
    await carrier_tells(order, DISPATCHED, DELIVERED)
    assert await what_became_of(order) == "delivered"
    shipment = stream_name("shipment", order.id)
    assert len(await told(world, shipment, ShipmentDispatched)) == 1
    assert (await order.books()).order.status == "completed"


@side_by_side
async def test_the_same_notice_is_one_in_whatever_run_it_is_heard(world: World) -> None:
    order = await an_order_on_its_way(world)
    earlier = Progress(
        state="dispatched",
        until=TODAY + timedelta(days=14),
        heard=(LOST.id,),
        untold=(),
        attempts={},
    )
    await begins_anew(order, world, earlier)
    await carrier_tells(order, LOST, DELIVERED)
    assert await what_became_of(order) == "delivered"
    handle = world.client.get_workflow_handle(f"delivery-{order.id}")
    shown = (await handle.describe()).typed_search_attributes
    assert shown.get(FAILURE_CODE) is None

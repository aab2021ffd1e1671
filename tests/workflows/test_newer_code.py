"""A step that meets an event of newer code waits for a worker of that code: nothing turns back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from domain.credit.events import LimitAssigned
from domain.inventory.events import StockReceived
from domain.settlement.events import MerchantAccountOpened
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.evolution.changes import NewVersion
from handrail.kernel import Event, stream_name
from handrail.sagas.events import SagaEnded, SagaParked, StepCompensated
from handrail.testing.evidence import read
from handrail.testing.running_saga import eventually
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.workflows.ordered import Ordered, Placement
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED
NEXT_RELEASE = Codec(
    HANDRAIL.codec.classes,
    [
        NewVersion(one.__name__, 2, ())
        for one in (LimitAssigned, StockReceived, MerchantAccountOpened)
    ],
)
"""Writes the second version of three events, in streams that many sagas share."""


def as_written_by_the_next_release(order: Ordered) -> dict[str, tuple[str, Event]]:
    placed = order.input
    [line] = placed.lines
    limit = LimitAssigned(customer=placed.customer, limit=eur(10_000_00), held=eur(0), used=eur(0))
    received = StockReceived(
        merchant=placed.merchant,
        sku=line.sku,
        delivery="second",
        quantity=1,
        available=order.stock_before + 1,
        reserved=0,
    )
    opened = MerchantAccountOpened(merchant=placed.merchant, currency="EUR", fee_bps=250)
    return {
        "HoldCredit": (stream_name("credit", placed.customer), limit),
        "ReserveStock": (stream_name("stock", f"{placed.merchant}:{line.sku}"), received),
        "CreditMerchant": (stream_name("merchant", placed.merchant), opened),
    }


async def of_the_next_release(old: World) -> World:
    """The same place, for workers beside the old ones: a process of its own has its own client."""
    address = old.client.service_client.config.target_host
    client = await Client.connect(
        address, namespace=old.client.namespace, data_converter=old.client.data_converter
    )
    store = EventStore(old.pool, NEXT_RELEASE)
    return replace(old, client=client, store=store, codec=NEXT_RELEASE)


async def waiting(order: Ordered) -> Sequence[str]:
    """What the activities that are pending died of at their last try, in the words of Temporal."""
    described = await order.handle.describe()
    pending = described.raw_description.pending_activities
    return [one.last_failure.application_failure_info.type for one in pending]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("step", "steps"),
    [
        ("HoldCredit", "local"),
        ("HoldCredit", "queues"),
        *(
            pytest.param(step, steps, marks=pytest.mark.thorough)
            for step in ("ReserveStock", "CreditMerchant")
            for steps in ("local", "queues")
        ),
    ],
)
async def test_a_step_waits_for_the_release_that_wrote_the_event(
    world: World, step: str, steps: Placement
) -> None:
    old = world.elsewhere()
    new = await of_the_next_release(old)
    order = await old.an_order(steps, deadline=1, patience=1)
    stream, event = as_written_by_the_next_release(order)[step]
    await new.store.append([(stream, ANY_VERSION, [event])])
    async with old.at_work():
        await order.starts()

        async def is_left_to_newer_code() -> bool:
            return await waiting(order) == ["UnknownMessage"]

        await eventually(is_left_to_newer_code, "an activity that waits for newer code")
        async with new.at_work():
            assert await order.ends() == COMPLETED
    told = await read(new, order.id)
    assert [one.ending for one in told.told(SagaEnded)] == ["completed"]
    assert not told.told(StepCompensated)
    assert not told.told(SagaParked)

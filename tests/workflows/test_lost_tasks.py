"""A worker dies after a step was committed and before its workflow task was: the code runs again.

Nothing of that task is in Temporal's history. What came meanwhile is then seen *before* the steps
that were done, and before what was recorded. Here the kernel kills the process; the harness loses
workflow tasks everywhere else, in every saga.
"""

from __future__ import annotations

import pytest

from domain.sagas.events import SagaDecided, SagaParked
from tests.workflows.dying import a_worker_that_dies
from tests.workflows.knocking import ACCEPTED, knocks
from tests.workflows.running import eventually
from tests.world import World
from workflows.messages import Cancellation

CANCELLED = Cancellation(actor="customer", reason="changed my mind")


@pytest.mark.parametrize(
    ("committed", "heard"),
    [
        ("HoldCredit", ACCEPTED),
        ("AuthoriseDownPayment", ACCEPTED),
        ("CapturePayment", "TooLate"),
        ("ConfirmOrder", "TooLate"),
    ],
)
async def test_a_cancellation_that_comes_while_a_task_is_lost_is_decided_by_what_was_done(
    world: World, committed: str, heard: str
) -> None:
    order = await world.elsewhere().an_order()
    async with a_worker_that_dies(order, after=committed) as worker:
        await order.starts()
        await worker.is_dead()
    cancellation = await knocks(order, "cancel", CANCELLED)
    async with order.world.at_work():
        assert await cancellation == heard
        await order.ends()
    books = await order.leaves_a_clean_slate()
    [decided] = books.told(SagaDecided)
    assert decided.approved == (heard != ACCEPTED)
    assert books.ended.ending == ("compensated" if heard == ACCEPTED else "completed")


async def test_what_parks_is_told_also_after_a_worker_died(world: World) -> None:
    """It dies when it has told that ConfirmOrder is parked, before Temporal knows of the try that
    had failed. The next one does ConfirmOrder, and parks at BookShipment, beside it.
    """
    order = await world.elsewhere().an_order(ship_to="addr_undeliverable")
    parked = "journal:parked:ConfirmOrder:do:1"
    async with a_worker_that_dies(order, after=parked, breaks_a_rule_at="ConfirmOrder") as worker:
        await order.starts()
        await worker.is_dead()

    async def is_parked() -> bool:
        return (await order.shown()).step == "BookShipment"

    async with order.world.at_work():
        await eventually(is_parked, "Temporal says: parked at BookShipment")
        await order.parks("BookShipment")
        told = [one.step for one in await order.story() if isinstance(one, SagaParked)]
        assert told == ["ConfirmOrder", "BookShipment"]
        await order.is_told("skip", "BookShipment")
        await order.ends()

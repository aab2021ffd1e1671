"""A worker dies after a step was committed and before its workflow task was: the code runs again.

Nothing of that task is in Temporal's history. What came meanwhile is then seen *before* the steps
that were done, and before what was recorded. Here the kernel kills the process; the harness loses
workflow tasks everywhere else, in every saga.
"""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType

from handrail.kernel import Attribution
from handrail.sagas.events import SagaDecided, SagaEnded, SagaParked, SagaResumed
from handrail.sagas.options import Intervention
from handrail.testing.running_saga import Running, eventually
from handrail.testing.updates import ACCEPTED, knocks
from tests.workflows.dying import a_worker_that_dies
from tests.workflows.test_onboard_merchant import an_application
from tests.world import World

pytestmark = pytest.mark.thorough

CANCELLED = Attribution(actor="customer", reason="changed my mind")
SKIP = Intervention(
    id="skip-1", kind="skip", actor="ops", reason="by hand", step="BookShipment", evidence="4711"
)


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


async def test_temporal_has_kept_what_a_person_said_before_the_stream_says_so(
    world: World,
) -> None:
    """Until then it may lose it with its task, and nobody says again what the stream has."""
    order = await world.elsewhere().an_order(ship_to="addr_undeliverable")
    async with a_worker_that_dies(order, after="journal:resumed:BookShipment:do:1") as worker:
        await order.starts()
        await order.parks("BookShipment")
        skipping = await knocks(order, "intervene", SKIP, None)
        await worker.is_dead()
    assert await has_kept_an_update(order)
    skipping.cancel()
    async with order.world.at_work():
        await order.ends()
    assert [one.kind for one in await order.story() if isinstance(one, SagaResumed)] == ["skip"]


async def test_temporal_has_kept_a_cancellation_before_the_stream_says_so(world: World) -> None:
    """Otherwise who waits for an answer would go on waiting, and be cancelled only by the next
    attempt.
    """
    asked = an_application(world.elsewhere())
    async with a_worker_that_dies(asked, after="journal:cancelled") as worker:
        await asked.starts()
        await asked.tells("AnswerAwaited", "RequestApproval")
        cancellation = await knocks(asked, "cancel", CANCELLED)
        await worker.is_dead()
    assert await has_kept_an_update(asked)
    cancellation.cancel()
    async with asked.world.at_work():
        await asked.ends()
    [ended] = [one for one in await asked.story() if isinstance(one, SagaEnded)]
    assert (ended.ending, ended.because) == ("compensated", "cancelled")


async def has_kept_an_update(saga: Running) -> bool:
    kept = [event.event_type for event in (await saga.handle.fetch_history()).events]
    return EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED in kept

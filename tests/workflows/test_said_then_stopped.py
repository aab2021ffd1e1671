"""What a person was told holds in the next attempt, also where the first is gone before it has
told that it turns back.
"""

from __future__ import annotations

import pytest

from handrail.kernel import Attribution
from handrail.testing.running_saga import eventually
from handrail.testing.updates import knocks
from tests.workflows.steps import PIVOT, side_by_side
from tests.workflows.test_attempts import ends_of, is_declined
from tests.workflows.test_onboard_merchant import an_application
from tests.world import World


@pytest.mark.thorough
@side_by_side
async def test_what_an_operator_has_taken_back_is_not_done_after_all(world: World) -> None:
    order = await world.an_order(patience=2)
    order.fails(PIVOT)
    await order.starts()
    await order.parks(PIVOT)
    order.recovers(PIVOT)
    turning = order.is_held("journal:turned-back")
    await order.is_told("compensate", PIVOT)
    await turning.reached()
    await order.is_terminated()
    order.recovers("journal:turned-back")
    await order.is_started_again()
    await order.ends()
    assert [(one.ending, one.because) for one in await ends_of(order)] == [
        ("compensated", "intervention")
    ]


@side_by_side
async def test_what_a_person_declined_is_not_asked_for_anew(world: World) -> None:
    asked = an_application(world)
    turning = asked.is_held("journal:turned-back")
    await asked.starts()
    await is_declined(asked)
    await turning.reached()
    await asked.is_terminated()
    asked.recovers("journal:turned-back")
    await asked.is_started_again()

    async def goes_on() -> bool:
        return bool(await ends_of(asked)) or (await asked.shown()).status == "awaiting"

    await eventually(goes_on, f"{asked.id} has ended, or waits for an answer again")
    assert [(one.ending, one.because) for one in await ends_of(asked)] == [("refused", "Declined")]


@side_by_side
async def test_nobody_cancels_what_an_earlier_attempt_has_done_for_good(world: World) -> None:
    """The wish comes before the second attempt knows what it takes over."""
    order = await world.an_order("queues")
    confirm = order.is_held("ConfirmOrder")
    await order.starts()
    await confirm.reached()
    await order.is_terminated()
    order.recovers("ConfirmOrder")
    begins, decides = order.is_held("journal:started"), order.is_held("journal:decided")
    asks = order.is_held("journal:cancelled")
    await order.is_started_again()
    await begins.reached()
    heard = await knocks(order, "cancel", Attribution(actor="customer", reason="a whim"))
    begins.open()
    await decides.reached()
    await asks.reached()
    asks.open()
    assert await heard == "TooLate"
    decides.open()
    await order.ends()
    assert [one.ending for one in await ends_of(order)] == ["completed"]

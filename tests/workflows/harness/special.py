"""Stories that need one saga: two steps side by side, a bank that is late, an account of before."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from temporalio import activity
from temporalio.client import ActivityFailureError, WorkflowQueryFailedError

from activities import inventory
from activities.payments.gateway import HttpBank
from domain.inventory.commands import ReceiveStock, ReserveStock, ShipStock, StockLine
from domain.payments.commands import CapturePayment
from domain.settlement.commands import OpenMerchantAccount
from handrail.kernel import Command
from handrail.replies import Declined
from handrail.sagas.events import SagaParked, SagaResumed, SagaStarted, StepUnknown
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.testing.attempts import is_terminated_at
from handrail.testing.interventions import beside, says
from handrail.testing.lost_tasks import A_WHILE, loses
from handrail.testing.running_saga import ONE_TASK, eventually
from handrail.testing.trial import Trial
from handrail.testing.updates import ACCEPTED, knocks
from tests.controls import a_line, a_merchant, an_order_id, eur
from tests.unencrypted import company
from tests.workflows.asked import asks, does
from tests.world import World, world_of

Story = Callable[[Trial, str], Awaitable[None]]


async def lands_late_beside_it(trial: Trial, step: str) -> None:
    """The task is lost while another step is under way: of that one the stream says nothing."""
    held = trial.is_held(beside(trial, step))
    loss = trial.loses_its_task_at(step)
    await trial.starts()
    await held.reached()
    heard = await loses(trial, loss, "requester")
    await heard.as_(ACCEPTED)
    await trial.ends_as("compensated", "cancelled")
    for late in await held.landed():
        assert getattr(late, "type", late) == "StepClosed", late
    await trial.ends_as("compensated", "cancelled")


async def its_pivot_lands_late_at_the_bank(trial: Trial, step: str) -> None:
    """When the next attempt has authorised anew: the bank takes nothing under the first key."""
    trial.is_held(step)
    await trial.starts()
    await is_terminated_at(trial, step)
    held = trial.is_held(step)
    await trial.is_started_again()
    await held.reached()
    asked = trial.subject.saga.pivot
    assert isinstance(asked, CapturePayment)
    world = world_of(trial)
    bank = HttpBank(company(world.session, world.bank))
    late = await bank.capture(key=f"{trial.id}/1/{step}/do", order=asked.order, amount=asked.amount)
    assert late == Declined(code="voided")
    held.open()
    await trial.ends_as("completed")


async def its_pivot_lands_late_once_it_was_cancelled(trial: Trial, step: str) -> None:
    """A worker that was thought dead asks for it, before the saga has turned back."""
    turning = trial.is_held("journal:turned-back")
    trial.is_answered_with("RequestApproval", "nothing")
    await trial.starts()
    await trial.tells("AnswerAwaited", "RequestApproval")
    await trial.is_cancelled_by_the_requester()
    await turning.reached()
    [begun] = [one for one in await trial.story() if isinstance(one, SagaStarted)]
    assert begun.opened_on
    key = StepKey(saga=trial.id, attempt=1, step=step, opened_on=begun.opened_on)
    pivot = [trial.subject.saga.pivot, StepContext(key=key, actor="a test")]
    with contextlib.suppress(ActivityFailureError):
        await asks(trial.world, step, pivot, Answer, "settlement")
    turning.open()
    await trial.ends_as("compensated", "cancelled")


async def breaks_a_rule_at_its_second_try(trial: Trial, step: str) -> None:
    """The first ended without an answer, and may have had its effect."""
    fault = trial.fails(step, tries=1)
    fault.instead = lambda asked: replace(asked, amount=eur(0))
    await trial.starts()
    found = await trial.ends_as("compensated", "unknown")
    assert [one.step for one in found.told(StepUnknown)] == [step]


async def was_done_before(trial: Trial, step: str) -> None:
    """The merchant's account was open: who is declined leaves it open."""
    asked = trial.input
    await does(
        trial.world, OpenMerchantAccount(merchant=asked.merchant, currency="EUR", fee_bps=250)
    )
    trial.is_answered_with("RequestApproval", "no")
    await trial.starts()
    await trial.ends()
    found = await trial.evidence()
    assert (found.ended.ending, found.ended.because) == ("refused", "Declined")
    assert step not in found.undone
    assert found.after == found.before


async def another_parks_once_its_task_is_lost(trial: Trial, step: str) -> None:
    """What the second run tells is told, whatever the first told in the same place."""
    later = "BookShipment"
    trial.breaks_a_rule(step)
    loss = trial.loses_its_task_at(f"journal:parked:{step}:do:1")
    await trial.starts()
    await loss.committed()
    trial.recovers(step)
    trial.breaks_a_rule(later)
    loss.strikes()
    await _waits(trial, later)
    trial.recovers(later)
    await trial.is_told("retry", later)
    found = await trial.ends_as("completed")
    assert [one.step for one in found.told(SagaParked)] == [step, later]


async def _waits(trial: Trial, step: str) -> None:
    """Until an operator can speak to it."""

    async def waits() -> bool:
        try:
            await trial.parked_command(step)
        except WorkflowQueryFailedError:
            return False
        return True

    await eventually(waits, f"{step} of {trial.id} waits")


async def is_resumed_by_the_first_also_after_a_reset(trial: Trial, step: str) -> None:
    """What the stream says stands: who comes after the reset is told so."""
    trial.loses_the_answer(step)
    loss = trial.loses_its_task_at(f"journal:resumed:{step}:do:1")
    await trial.starts()
    await trial.parks(step)
    first = await knocks(trial, "intervene", says(trial, "retry", step), None)
    await loses(trial, loss, "reset")
    await _waits(trial, step)
    trial.recovers(step)
    other = await knocks(trial, "intervene", says(trial, "resolve", step), None)
    assert await other == "NotParked"
    found = await trial.ends_as("completed")
    assert [one.kind for one in found.told(SagaResumed)] == ["retry"]
    first.cancel()


@dataclass(frozen=True)
class Special:
    story: Story
    saga: str
    step: str
    impatient: bool = False
    task: timedelta = ONE_TASK


SPECIAL: Final[Mapping[str, Special]] = {
    told.story.__name__: told
    for told in (
        Special(lands_late_beside_it, "Checkout", "ReserveStock", task=A_WHILE),
        Special(its_pivot_lands_late_at_the_bank, "Checkout", "CapturePayment"),
        Special(its_pivot_lands_late_once_it_was_cancelled, "OnboardMerchant", "ActivateMerchant"),
        Special(breaks_a_rule_at_its_second_try, "Checkout", "HoldCredit"),
        Special(another_parks_once_its_task_is_lost, "Checkout", "ConfirmOrder", task=A_WHILE),
        Special(was_done_before, "OnboardMerchant", "OpenMerchantAccount"),
        Special(
            is_resumed_by_the_first_also_after_a_reset,
            "Checkout",
            "ConfirmOrder",
            impatient=True,
        ),
    )
}


# Of no saga.


async def what_was_only_repeated_is_not_remembered(world: World) -> None:
    """Three processes at one shelf: the third is asked again for what was reserved, and shipped."""
    merchant, sku = a_merchant(), a_line().sku
    first, second = an_order_id(), an_order_id()
    one, other = _a_process(world), _a_process(world)

    def reserving(order: Any, quantity: int) -> ReserveStock:
        line = StockLine(sku=sku, quantity=quantity)
        return ReserveStock(order=order, merchant=merchant, lines=(line,))

    await one(ReceiveStock(merchant=merchant, sku=sku, delivery="one", quantity=10), "receive")
    await one(reserving(first, 3), first)
    await one(ShipStock(order=first, merchant=merchant, skus=(sku,)), f"ship-{first}")
    await other(reserving(first, 3), first)
    await one(ReceiveStock(merchant=merchant, sku=sku, delivery="two", quantity=1), "again")
    assert (await other(reserving(second, 8), second)).status == "done"


def _a_process(world: World) -> Callable[[Command, str], Awaitable[Answer]]:
    """With a memory of its own; what is asked under the same name again has the same key."""
    served = {
        activity._Definition.must_from_callable(one).name: one
        for one in inventory.activities(world.store)
    }

    async def asks(command: Command, saga: str) -> Answer:
        name = type(command).__name__
        key = StepKey(saga=saga, attempt=1, step=name, opened_on=date(2026, 11, 1))
        context = StepContext(key=key, actor="a test", alone=True)
        answer: Answer = await served[name](command, context)
        return answer

    return asks

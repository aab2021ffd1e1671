"""Any commands in any order: no money of a plan is lost, and none appears."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from domain.identifiers import ReturnId
from domain.payments import plan, transfer
from domain.payments.commands import RevertAdjustment
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    LateFeeCharged,
    PayoutTransferred,
    PlanAdjusted,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.payments.plan import InstalmentPlan
from domain.payments.transfer import Transfer
from handrail.errors import DomainError
from tests.controls import eur
from tests.domain import walks
from tests.domain.walks import walk
from tests.inputs import inputs

patiently = inputs(200)


@patiently
@given(walks.plan_commands())
def test_what_was_financed_is_paid_outstanding_absorbed_or_given_up(commands: list[Any]) -> None:
    paid = given_up = eur(0)
    for event, paying in walk(plan, InstalmentPlan(), commands):
        match event:
            case InstalmentCollected(principal=principal) | PlanSettled(principal=principal):
                paid += principal
            case PlanWrittenOff(principal=principal):
                given_up += principal
            case _:
                pass
        absorbed = sum((one.absorbed for one in paying.adjustments.values()), eur(0))
        assert paying.paid_principal == paid
        assert paying.financed == paid + paying.outstanding + absorbed + given_up
        assert all(one.amount >= eur(0) for one in paying.instalments)


@patiently
@given(walks.plan_commands())
def test_fees_are_paid_only_where_they_were_charged(commands: list[Any]) -> None:
    charged = eur(0)
    for event, paying in walk(plan, InstalmentPlan(), commands):
        if isinstance(event, LateFeeCharged):
            charged += event.fee
        assert paying.paid_fees + paying.fees_due <= charged


@patiently
@given(walks.plan_commands())
def test_a_plan_is_open_while_something_is_due(commands: list[Any]) -> None:
    for _, paying in walk(plan, InstalmentPlan(), commands):
        assert (paying.status == "open") == bool(paying.due)
        assert all(bool(one.amount.amount) == (one.status == "due") for one in paying.instalments)


@patiently
@given(walks.plan_commands())
def test_an_adjustment_that_is_reverted_at_once_leaves_no_trace(commands: list[Any]) -> None:
    before = InstalmentPlan()
    for event, paying in walk(plan, InstalmentPlan(), commands):
        if isinstance(event, PlanAdjusted):
            assert event.absorbed + event.refund == event.value
            undo = RevertAdjustment(order=event.order, return_id=event.return_id)
            [reverted] = plan.decide(undo, paying)
            assert plan.evolve(paying, reverted) == before
        before = paying


@patiently
@given(walks.plan_commands())
def test_a_return_is_refunded_once_and_never_reverted_then(commands: list[Any]) -> None:
    refunded: set[ReturnId] = set()
    for event, paying in walk(plan, InstalmentPlan(), commands):
        if isinstance(event, RefundPaid):
            assert event.return_id not in refunded
            assert event.amount == paying.adjustments[event.return_id].refund
            refunded.add(event.return_id)
        elif isinstance(event, AdjustmentReverted):
            assert event.return_id not in refunded
        for return_id in refunded:
            undo = RevertAdjustment(order=walks.ORDER, return_id=return_id)
            try:
                plan.decide(undo, paying)
            except DomainError:
                continue
            raise AssertionError(f"{return_id} was refunded and can be reverted")


@patiently
@given(walks.transfer_commands())
def test_a_payout_leaves_once(commands: list[Any]) -> None:
    events = [event for event, _ in walk(transfer, Transfer(), commands)]
    assert sum(isinstance(event, PayoutTransferred) for event in events) <= 1

"""An instalment plan: what of an order's price is still to be paid, when, and what came back.

What was financed is at every moment what was paid, what is outstanding, what returns absorbed and
what was given up. As in `payment`, rules of ours are checked before the bank's reply is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Final, Literal, assert_never

from domain.identifiers import OrderId
from domain.payments import plan_adjustment
from domain.payments.commands import (
    AdjustPlan,
    ChargeLateFee,
    CollectInstalment,
    OpenPlan,
    PlanCommand,
    RefundPayment,
    Reschedule,
    RevertAdjustment,
    SettleEarly,
    WriteOffPlan,
)
from domain.payments.due_dates import monthly
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    LateFeeCharged,
    PlanAdjusted,
    PlanEvent,
    PlanMovedOn,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    RefundDeclined,
    RefundPaid,
    SettlementDeclined,
)
from domain.payments.plan_state import Adjustment, Instalment, InstalmentPlan
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    NotPositive,
    OutOfOrder,
    OutsideAnswerMissing,
    UnknownAggregate,
)
from handrail.kernel import Money
from handrail.personal import may_equal
from handrail.replies import Accepted, Declined

__all__ = ["CATEGORY", "Adjustment", "Instalment", "InstalmentPlan", "decide", "evolve"]

CATEGORY: Final = "plan"


def evolve(  # noqa: C901, PLR0911  # one arm an event
    plan: InstalmentPlan, event: PlanEvent
) -> InstalmentPlan:
    match event:
        case PlanOpened():
            return _opened(event)
        case InstalmentCollected(number=number, principal=principal, fees=fees):
            plan = _paid(plan, principal, fees)
            return _with_status(_each(plan, _ended("collected"), number))
        case LateFeeCharged(number=number, fee=fee, reminder=reminder):
            return _each(plan, _with_fee(fee, reminder), number)
        case InstalmentRescheduled(number=number, due=due):
            return _each(plan, lambda one: replace(one, due=due), number)
        case PlanSettled(principal=principal, fees=fees):
            numbers = [one.number for one in plan.due]
            plan = replace(_paid(plan, principal, fees), settlements=plan.settlements + 1)
            return _with_status(_each(plan, _ended("collected"), *numbers))
        case PlanWrittenOff():
            numbers = [one.number for one in plan.due]
            plan = replace(plan, status="written_off", write_offs=plan.write_offs + 1)
            return _each(plan, _ended("cancelled"), *numbers)
        case PlanAdjusted():
            return _adjusted(plan, event)
        case AdjustmentReverted():
            return _reverted(plan, event)
        case RefundPaid(return_id=return_id):
            paid = replace(plan.adjustments[return_id], paid=True)
            return replace(plan, adjustments={**plan.adjustments, return_id: paid})
        case InstalmentMissed() | SettlementDeclined() | PlanMovedOn() | RefundDeclined():
            return plan
        case _:
            assert_never(event)


def decide(  # noqa: C901, PLR0911  # one arm a command
    command: PlanCommand, plan: InstalmentPlan
) -> Sequence[PlanEvent]:
    if isinstance(command, OpenPlan):
        return _open(command, plan)
    if plan.status == "none":
        raise UnknownAggregate(f"{command.order} has no plan")
    match command:
        case CollectInstalment():
            return _collect(command, plan)
        case ChargeLateFee():
            return _charge_fee(command, plan)
        case Reschedule():
            return _reschedule(command, plan)
        case SettleEarly():
            return _settle(command, plan)
        case WriteOffPlan():
            return _write_off(command, plan)
        case AdjustPlan():
            return plan_adjustment.adjust(command, plan)
        case RevertAdjustment():
            return plan_adjustment.revert(command, plan)
        case RefundPayment():
            return plan_adjustment.refund(command, plan)
        case _:
            assert_never(command)


def check_unpaid(command: PlanCommand, plan: InstalmentPlan) -> None:
    """Raises OutOfOrder where a return took off the plan what is to be collected: nobody has paid
    it, so nothing may follow as if somebody had.
    """
    order = command.order
    if isinstance(command, CollectInstalment):
        one = plan.instalment(command.number)
        if one is not None and one.status == "cancelled":
            raise OutOfOrder(f"instalment {command.number} of {order} was cancelled")
    # The last that was due is what a settlement pays, and what a return takes first.
    is_absorbed = not plan.due and plan.instalments[-1].status == "cancelled"
    if isinstance(command, SettleEarly) and is_absorbed:
        raise OutOfOrder(f"nothing of {order} is due any more, and not because it was paid")


def _open(command: OpenPlan, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    count, financed = command.instalments, command.financed
    if count <= 0 or financed.amount < count:
        raise NotPositive(f"{financed} in {count} instalments")
    instalments = tuple(monthly(financed, count, command.first_due, command.day))
    if plan.status == "none":
        return [
            PlanOpened(
                order=command.order,
                customer=command.customer,
                card=command.card,
                instalments=instalments,
            )
        ]
    # A plan that was opened before `day` was known has the dates that follow from the first alone.
    known = {instalments, tuple(monthly(financed, count, command.first_due))}
    differs = command.customer != plan.customer or plan.planned not in known
    if differs or not may_equal(command.card, plan.card):
        raise ContentDiffers(f"{command.order} has another plan")
    return []


def _collect(command: CollectInstalment, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    order, number, amount = command.order, command.number, command.amount
    one = _known(plan, order, number)
    if one.status != "due":
        return []
    if amount != one.amount + one.fees:
        raise ContentDiffers(f"instalment {number} comes to {one.amount + one.fees}, not {amount}")
    match command.reply:
        case Accepted(reference=reference):
            return [
                InstalmentCollected(
                    order=order,
                    number=number,
                    principal=one.amount,
                    fees=one.fees,
                    charge=reference,
                )
            ]
        case Declined(code=code):
            return [InstalmentMissed(order=order, number=number, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(f"{order}, instalment {number}")


def _charge_fee(command: ChargeLateFee, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    number, fee, reminder = command.number, command.fee, command.reminder
    if fee.amount <= 0:
        raise NotPositive(str(fee))
    one = _known(plan, command.order, number)
    # Who has paid meanwhile is late no more.
    if one.status != "due" or reminder in one.reminders:
        return []
    if fee.currency != one.fees.currency:
        raise CurrencyMismatch(f"{fee} is not in {one.fees.currency}")
    return [LateFeeCharged(order=command.order, number=number, fee=fee, reminder=reminder)]


def _reschedule(command: Reschedule, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    number, due = command.number, command.due
    one = _known(plan, command.order, number)
    if one.status != "due":
        raise OutOfOrder(f"instalment {number} is {one.status}")
    if one.due == due:
        return []
    before = plan.instalment(number - 1)
    if before is not None and due < before.due:
        raise OutOfOrder(f"instalment {number - 1} is due on {before.due}, after {due}")
    return [InstalmentRescheduled(order=command.order, number=number, due=due)]


def _settle(command: SettleEarly, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    if not plan.due:
        return []
    order, amount = command.order, command.amount
    principal, fees = plan.outstanding, plan.fees_due
    if amount != principal + fees:
        raise ContentDiffers(f"{principal + fees} is outstanding, not {amount}")
    match command.reply:
        case Accepted(reference=reference):
            return [PlanSettled(order=order, principal=principal, fees=fees, charge=reference)]
        case Declined(code=code):
            return [SettlementDeclined(order=order, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(order)


def _write_off(command: WriteOffPlan, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    if not plan.due:
        return []
    if plan.in_doubt:
        raise OutOfOrder(f"a return of {command.order} is being decided: what is lost is not known")
    return [
        PlanWrittenOff(order=command.order, principal=plan.outstanding, fees=plan.fees_due),
    ]


def _opened(event: PlanOpened) -> InstalmentPlan:
    nothing = Money(0, event.instalments[0].amount.currency)
    return InstalmentPlan(
        status="open",
        customer=event.customer,
        card=event.card,
        planned=event.instalments,
        instalments=tuple(
            Instalment(
                number=instalment.number, due=instalment.due, amount=instalment.amount, fees=nothing
            )
            for instalment in event.instalments
        ),
        paid_principal=nothing,
        paid_fees=nothing,
    )


def _adjusted(plan: InstalmentPlan, event: PlanAdjusted) -> InstalmentPlan:
    adjustment = Adjustment(event.value, event.absorbed, event.refund, event.reductions)
    plan = replace(plan, adjustments={**plan.adjustments, event.return_id: adjustment})
    return _with_status(
        reduce(lambda it, r: _each(it, _reduced(r.amount), r.number), event.reductions, plan)
    )


def _reverted(plan: InstalmentPlan, event: AdjustmentReverted) -> InstalmentPlan:
    remaining = {known: one for known, one in plan.adjustments.items() if known != event.return_id}
    plan = replace(plan, adjustments=remaining)
    nothing = Money(0, plan.paid_principal.currency)
    for back in event.instalments:
        if plan.instalment(back.number) is None:
            new = Instalment(back.number, back.due, back.amount, nothing)
            plan = replace(plan, instalments=(*plan.instalments, new))
        else:
            plan = _each(plan, _grown(back.amount), back.number)
    return _with_status(plan)


Change = Callable[[Instalment], Instalment]


def _each(plan: InstalmentPlan, change: Change, *numbers: int) -> InstalmentPlan:
    changed = tuple(
        change(instalment) if instalment.number in numbers else instalment
        for instalment in plan.instalments
    )
    return replace(plan, instalments=changed)


def _ended(status: Literal["collected", "cancelled"]) -> Change:
    return lambda one: replace(one, status=status, amount=one.amount * 0, fees=one.fees * 0)


def _with_fee(fee: Money, reminder: int) -> Change:
    return lambda one: replace(one, fees=one.fees + fee, reminders=(*one.reminders, reminder))


def _reduced(by: Money) -> Change:
    def change(one: Instalment) -> Instalment:
        remaining = one.amount - by
        return replace(one, amount=remaining, status="due" if remaining.amount else "cancelled")

    return change


def _grown(to: Money) -> Change:
    return lambda one: replace(one, amount=to, status="due")


def _paid(plan: InstalmentPlan, principal: Money, fees: Money) -> InstalmentPlan:
    paid_principal, paid_fees = plan.paid_principal + principal, plan.paid_fees + fees
    return replace(plan, paid_principal=paid_principal, paid_fees=paid_fees)


def _with_status(plan: InstalmentPlan) -> InstalmentPlan:
    """Open while anything is due; what was written off stays so until something comes back."""
    if plan.due:
        return replace(plan, status="open")
    return plan if plan.status == "written_off" else replace(plan, status="settled")


def _known(plan: InstalmentPlan, order: OrderId, number: int) -> Instalment:
    found = plan.instalment(number)
    if found is None:
        raise UnknownAggregate(f"{order} has no instalment {number}")
    return found

"""What a return does to an instalment plan: it absorbs what is due, and the rest is refunded."""

from __future__ import annotations

from collections.abc import Sequence

from domain.payments.commands import AdjustPlan, RefundPayment, RevertAdjustment
from domain.payments.due_dates import month_after
from domain.payments.events import (
    AdjustmentReverted,
    PlanAdjusted,
    PlanEvent,
    PlanMovedOn,
    PlannedInstalment,
    Reduction,
    RefundDeclined,
    RefundPaid,
)
from domain.payments.plan_state import InstalmentPlan
from handrail.errors import ContentDiffers, NotPositive, OutOfOrder, OutsideAnswerMissing
from handrail.kernel import Money
from handrail.replies import Accepted, Declined


def adjust(command: AdjustPlan, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    order, return_id, value = command.order, command.return_id, command.value
    if value.amount <= 0:
        raise NotPositive(str(value))
    known = plan.adjustments.get(return_id)
    if known is not None:
        if (known.value, known.absorbed) != (value, command.absorbed):
            raise ContentDiffers(f"{return_id} is worth {known.value}, {known.absorbed} absorbed")
        return []
    if plan.status == "written_off":
        # What was never paid cannot be refunded: how much of it that is, a person has to say.
        raise OutOfOrder(f"the plan of {order} was written off")
    outstanding = plan.outstanding
    if command.absorbed != min(value, outstanding):
        return [PlanMovedOn(order=order, return_id=return_id, outstanding=outstanding)]
    return [
        PlanAdjusted(
            order=order,
            return_id=return_id,
            value=value,
            absorbed=command.absorbed,
            refund=value - command.absorbed,
            reductions=_reductions(plan, command.absorbed),
        )
    ]


def _reductions(plan: InstalmentPlan, absorbed: Money) -> tuple[Reduction, ...]:
    """From the last instalment backwards: what is due next stays as it is for longest."""
    found, remaining = list[Reduction](), absorbed
    for one in reversed(plan.due):
        if remaining.amount == 0:
            break
        taken = min(one.amount, remaining)
        found.append(Reduction(number=one.number, amount=taken))
        remaining -= taken
    return tuple(found)


def revert(command: RevertAdjustment, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    order, return_id = command.order, command.return_id
    adjustment = plan.adjustments.get(return_id)
    if adjustment is None:
        return []
    if adjustment.paid:
        raise OutOfOrder(f"the refund of {return_id} was paid")
    back = _come_back(plan, adjustment.reductions)
    return [AdjustmentReverted(order=order, return_id=return_id, instalments=back)]


def _come_back(
    plan: InstalmentPlan, reductions: Sequence[Reduction]
) -> tuple[PlannedInstalment, ...]:
    """Onto the instalments they were taken from; for those collected meanwhile, onto a new one."""
    by_number = {instalment.number: instalment for instalment in plan.instalments}
    grown, homeless = list[PlannedInstalment](), Money(0, plan.paid_principal.currency)
    for reduction in reversed(reductions):
        one = by_number[reduction.number]
        if one.status == "collected":
            homeless += reduction.amount
        else:
            amount = one.amount + reduction.amount
            grown.append(PlannedInstalment(number=one.number, due=one.due, amount=amount))
    if homeless.amount:
        last = plan.instalments[-1]
        latest = max(one.due for one in plan.instalments)
        after = month_after(latest, (one.due for one in plan.planned))
        grown.append(PlannedInstalment(number=last.number + 1, due=after, amount=homeless))
    return tuple(grown)


def refund(command: RefundPayment, plan: InstalmentPlan) -> Sequence[PlanEvent]:
    order, return_id, amount = command.order, command.return_id, command.amount
    adjustment = plan.adjustments.get(return_id)
    if adjustment is None:
        raise OutOfOrder(f"the plan of {order} was not adjusted for {return_id}")
    if amount != adjustment.refund:
        raise ContentDiffers(f"{return_id} is owed {adjustment.refund}, not {amount}")
    if adjustment.paid:
        return []
    if amount.amount == 0:
        return [RefundPaid(order=order, return_id=return_id, amount=amount, refund="")]
    match command.reply:
        case Accepted(reference=reference):
            return [RefundPaid(order=order, return_id=return_id, amount=amount, refund=reference)]
        case Declined(code=code):
            return [RefundDeclined(order=order, return_id=return_id, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(f"{order}, {return_id}")

"""What must be true of money that moves after the checkout: instalments, refunds and payouts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from domain.inventory.events import StockReturned
from domain.ordering.events import OrderPlaced
from domain.ordering.returns import Return
from domain.payments.events import (
    InstalmentCollected,
    PayoutTransferred,
    PlanAdjusted,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.payments.plan import InstalmentPlan
from domain.settlement.events import PayableClawedBack
from runtime.endings import endings, saga_endings
from runtime.evidence import Evidence


def bank_agrees(evidence: Evidence) -> Iterator[str]:
    """The bank holds, took, gave back and paid out exactly what our books say."""
    if evidence.bank is None:
        return
    yield from _down_payments(evidence, evidence.bank)
    moved = _Moved.of(evidence)
    yield from _same(evidence, "charge", evidence.bank["charges"], moved.charges)
    yield from _same(evidence, "refund", evidence.bank["refunds"], moved.refunds)
    yield from _same(evidence, "payout", evidence.bank["payouts"], moved.payouts)


def _down_payments(evidence: Evidence, bank: Mapping[str, Any]) -> Iterator[str]:
    theirs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in bank["authorisations"]:
        theirs[one["order"]][one["state"]] += one["amount"]
    known = evidence.sagas()
    for order in theirs:
        if order not in known:
            yield f"order {order}: the bank knows it, we do not"
    for order, ended in endings(evidence).items():
        payment = evidence.of("payment").get(order)
        ours = payment.amount.amount if payment and payment.status == "captured" else 0
        if theirs[order]["captured"] != ours or theirs[order]["authorised"]:
            yield f"order {order} ({ended}): the bank has {dict(theirs[order])}, we took {ours}"


@dataclass(frozen=True)
class _Moved:
    """Amounts by the bank's own names for them."""

    charges: Mapping[str, int]
    refunds: Mapping[str, int]
    payouts: Mapping[str, int]

    @classmethod
    def of(cls, evidence: Evidence) -> _Moved:
        charges, refunds, payouts = Counter[str](), Counter[str](), Counter[str]()
        for one in evidence.stored:
            match one.event:
                case InstalmentCollected() | PlanSettled() as paid:
                    charges[paid.charge] += (paid.principal + paid.fees).amount
                case RefundPaid(refund=refund, amount=amount) if refund:
                    refunds[refund] += amount.amount
                case PayoutTransferred(transfer=transfer, amount=amount):
                    payouts[transfer] += amount.amount
                case _:
                    pass
        return cls(charges, refunds, payouts)


def _same(
    evidence: Evidence, kind: str, theirs: list[dict[str, Any]], ours: Mapping[str, int]
) -> Iterator[str]:
    """Of what the bank has beyond our books, only the sagas that ended are held to account.

    The bank was asked last, and what is under way may have reached it meanwhile.
    """
    ended = saga_endings(evidence)
    standing = {one["reference"]: one for one in theirs if one["state"] in {"captured", "paid"}}
    for reference, amount in ours.items():
        found = standing[reference]["amount"] if reference in standing else 0
        if found != amount:
            yield f"{kind} {reference}: the bank has {found}, our books say {amount}"
    for reference, one in standing.items():
        saga = unquote(one["key"]).partition("/")[0]
        if reference not in ours and saga in ended:
            yield f"{kind} {reference} of {saga}: the bank has {one['amount']}, our books nothing"


def instalments(evidence: Evidence) -> Iterator[str]:
    """What was financed is paid, due, absorbed by returns or given up; what is due is the debt.

    A debt may differ while a saga about its order runs, which moves both.
    """
    given_up: Counter[str] = Counter()
    for order, event in evidence.events_of("plan"):
        if isinstance(event, PlanWrittenOff):
            given_up[order] += event.principal.amount
    debts = {
        order: debt.amount
        for line in evidence.of("credit").values()
        for order, debt in line.debts.items()
    }
    moving = _in_question(evidence)
    for order, plan in evidence.of("plan").items():
        absorbed = sum(one.absorbed.amount for one in plan.adjustments.values())
        paid, due = plan.paid_principal.amount, plan.outstanding.amount
        parts = paid + due + absorbed + given_up[order]
        if plan.financed.amount != parts:
            yield (
                f"plan {order}: {plan.financed} financed, but {paid} paid, {due} due,"
                f" {absorbed} absorbed and {given_up[order]} given up"
            )
        content: OrderPlaced | None = getattr(evidence.of("order").get(order), "content", None)
        if content is None or plan.financed != content.total - content.down_payment:
            yield f"plan {order}: {plan.financed} financed, which is not what was bought"
        if order not in moving and debts.get(order, 0) != due:
            yield f"plan {order}: {due} due, but the customer owes {debts.get(order, 0)}"


def _in_question(evidence: Evidence) -> set[str]:
    """The orders with a plan that a saga is about which has not ended."""
    running = set(evidence.sagas()) - set(saga_endings(evidence))
    adjusting: defaultdict[str, set[str]] = defaultdict(set)
    for order, event in evidence.events_of("plan"):
        if isinstance(event, PlanAdjusted):
            adjusting[order].add(f"return-{event.return_id}")
    return {
        order
        for order in evidence.of("plan")
        if any(_is_about(saga, order) for saga in running) or adjusting[order] & running
    }


def _is_about(saga: str, order: str) -> bool:
    """Such as `settle-o1` and `instalment-o1-2`; the checkout has the order's own id."""
    return f"-{order}-" in f"-{saga}-"


def returns(evidence: Evidence) -> Iterator[str]:
    """What came back is in stock, off the merchant's balance, absorbed or refunded: all or none."""
    restocked: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for _, event in evidence.events_of("stock"):
        if isinstance(event, StockReturned):
            restocked[event.return_id][event.sku] += event.quantity
    clawed_back = {
        event.return_id
        for _, event in evidence.events_of("merchant")
        if isinstance(event, PayableClawedBack)
    }
    ended, known = saga_endings(evidence), evidence.sagas()
    for order, state in evidence.of("order").items():
        plan = evidence.of("plan").get(order)
        for return_id, one in state.returns.items():
            saga = f"return-{return_id}"
            if not one.completed or (saga in known and saga not in ended):
                continue
            yield from _restocked(one, restocked[return_id])
            if one.accepted.value.amount and return_id not in clawed_back:
                yield f"return {return_id}: the merchant still has what it was worth"
            if plan is not None:
                yield from _refunded(one, plan)
    for saga, ending in ended.items():
        return_id = saga.removeprefix("return-")
        if saga != return_id and ending != "completed":
            yield from _nothing_of(evidence, return_id, restocked, clawed_back)


def _restocked(one: Return, found: Counter[str]) -> Iterator[str]:
    wanted: Counter[str] = Counter()
    for line in one.accepted.lines:
        wanted[line.sku] += line.quantity
    expected = wanted if one.accepted.why == "returned" else Counter()
    if found != expected:
        name = one.accepted.return_id
        yield f"return {name}: {dict(found)} is back in stock, not {dict(expected)}"


def _refunded(one: Return, plan: InstalmentPlan) -> Iterator[str]:
    name, value = one.accepted.return_id, one.accepted.value
    adjustment = plan.adjustments.get(name)
    if adjustment is None:
        yield f"return {name}: the plan knows nothing of it"
    elif adjustment.value != value or adjustment.refund != value - adjustment.absorbed:
        yield f"return {name}: worth {value}, but the plan says {adjustment.value}"
    elif not adjustment.paid:
        yield f"return {name}: its refund of {adjustment.refund} was not paid"


def _nothing_of(
    evidence: Evidence,
    return_id: str,
    restocked: Mapping[str, Counter[str]],
    clawed_back: set[Any],
) -> Iterator[str]:
    if restocked.get(return_id):
        yield f"return {return_id}: was taken back, but is in stock"
    if return_id in clawed_back:
        yield f"return {return_id}: was taken back, but not for the merchant"
    for order, plan in evidence.of("plan").items():
        if return_id in plan.adjustments:
            yield f"return {return_id}: was taken back, but the plan of {order} is still adjusted"

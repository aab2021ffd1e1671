"""What must be true of money that moves: at the bank, by instalments, refunds and payouts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from domain.credit.events import CreditConsumed, CreditRestored, DebtWrittenOff
from domain.inventory.events import StockReturned
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
from domain.settlement.events import PayableClawedBack, PayoutCancelled, PayoutPrepared
from handrail.verify.violations import Violation, steps
from runtime.verify.companies import STANDS, step_of
from runtime.verify.evidence import Evidence
from runtime.verify.orders import ending_of, placed_of
from workflows import pay_merchant, return_order

_DOWN_PAYMENT: Final = steps("AuthoriseDownPayment", "CapturePayment")
_CHARGED: Final = steps("CollectInstalment", "SettleEarly")
_REFUNDED: Final = steps("RefundPayment")
_PAID_OUT: Final = steps("PreparePayout", "TransferPayout")
_PLAN: Final = _CHARGED | steps(
    "OpenPlan", "ConsumeCredit", "RestoreCredit", "WriteOffPlan", "WriteOffDebt", "AdjustPlan"
)
_RETURNED: Final = steps(
    "AcceptReturn", "AdjustPlan", "RefundPayment", "RestoreCredit", "Restock", "ClawBack"
)


def bank_agrees(evidence: Evidence) -> Iterator[Violation]:
    """The bank holds, took, gave back and paid out exactly what our books say."""
    if evidence.bank is None:
        return
    yield from _down_payment(evidence, evidence.bank.get("authorisations", ()))
    charges, refunds, payouts = _moved(evidence)
    yield from _same(evidence, "charges", charges, _CHARGED)
    yield from _same(evidence, "refunds", refunds, _REFUNDED)
    yield from _same(evidence, "payouts", payouts, _PAID_OUT)


def _down_payment(evidence: Evidence, theirs: Iterable[Mapping[str, Any]]) -> Iterator[Violation]:
    states = Counter[str]()
    for one in theirs:
        states[one["state"]] += one["amount"]
    order, ended, placed = evidence.id, ending_of(evidence), placed_of(evidence)
    if states and order not in evidence.sagas:
        yield Violation(f"order {order}: the bank knows it, we do not")
    if ended is None:
        return
    message = f"order {order} ({ended}): the bank has {dict(states)}"
    payment = evidence.state("payment")
    ours = payment.amount.amount if payment and payment.status == "captured" else 0
    if states["captured"] != ours or states["authorised"]:
        yield Violation(f"{message}, we took {ours}", _DOWN_PAYMENT)
    due = placed.down_payment.amount if placed and ended == "completed" else 0
    if placed and states["captured"] != due:
        yield Violation(f"{message}, {due} was to be paid", _DOWN_PAYMENT)


def _moved(evidence: Evidence) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Amounts by the bank's own names for them: charges, refunds and payouts."""
    charges, refunds, payouts = Counter[str](), Counter[str](), Counter[str]()
    for event in (*evidence.of("plan"), *evidence.of("transfer")):
        match event:
            case InstalmentCollected() | PlanSettled() as paid:
                charges[paid.charge] += (paid.principal + paid.fees).amount
            case RefundPaid(refund=refund, amount=amount) if refund:
                refunds[refund] += amount.amount
            case PayoutTransferred(transfer=transfer, amount=amount):
                payouts[transfer] += amount.amount
            case _:
                pass
    return charges, refunds, payouts


def _same(
    evidence: Evidence, kind: str, ours: Mapping[str, int], explaining: frozenset[str]
) -> Iterator[Violation]:
    """Of what the bank has beyond our books, sagas that still run are not held to account.

    The bank was asked last, and what is under way may have reached it meanwhile.
    """
    assert evidence.bank is not None
    theirs = [one for one in evidence.bank.get(kind, ()) if one["state"] in STANDS]
    standing = {one["reference"]: one for one in theirs}
    for reference, amount in ours.items():
        found = standing[reference]["amount"] if reference in standing else 0
        if found != amount:
            text = f"{kind} {reference}: the bank has {found}, our books say {amount}"
            yield Violation(text, explaining)
    for reference, one in standing.items():
        saga = step_of(one).saga
        facts = evidence.sagas.get(saga)
        if reference not in ours and (facts is None or facts.ending is not None):
            text = f"{kind} {reference} of {saga}: the bank has {one['amount']}, our books nothing"
            yield Violation(text, explaining)


def one_effect_per_step(evidence: Evidence) -> Iterator[Violation]:
    """At another company at most one effect of each step stands, over all attempts at its saga."""
    for company in (evidence.bank, evidence.carrier):
        for kind, entries in (company or {}).items():
            standing: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
            for one in entries:
                if one["state"] in STANDS and "key" in one:
                    asked = step_of(one)
                    standing[asked.saga, asked.step].append(one["key"])
            for (saga, step), keys in standing.items():
                if len(keys) > 1:
                    text = f"saga {saga}: {step} has {len(keys)} {kind}: {', '.join(keys)}"
                    yield Violation(text)


def payouts_equal_prepared(evidence: Evidence) -> Iterator[Violation]:
    """A merchant gets what was prepared for them: in our books, and at the bank."""
    prepared, cancelled, transferred = Counter[str](), Counter[str](), Counter[str]()
    for merchant, event in evidence.mentioned(PayoutPrepared):
        prepared[merchant] += event.amount.amount
    for merchant, event in evidence.mentioned(PayoutCancelled):
        cancelled[merchant] += event.amount.amount
    for event in evidence.of("transfer"):
        if isinstance(event, PayoutTransferred):
            transferred[event.merchant] += event.amount.amount
    ending = _ending_of_payout(evidence)
    for merchant in prepared.keys() | transferred.keys():
        due, amount = prepared[merchant] - cancelled[merchant], transferred[merchant]
        if amount != due and (amount or ending == "completed"):
            text = f"payout {evidence.id}: {due} is prepared for {merchant}, {amount} transferred"
            yield Violation(text, _PAID_OUT)
    if ending is not None:
        prepared.subtract(cancelled)
    yield from _sent(evidence, prepared, ending)


def _ending_of_payout(evidence: Evidence) -> str | None:
    saga = evidence.sagas.get(pay_merchant.saga_id(evidence.id))
    return saga.ending if saga else "unknown"


def _sent(
    evidence: Evidence, prepared: Mapping[str, int], ending: str | None
) -> Iterator[Violation]:
    """The bank was asked last: what is prepared for a running payout may be news to us."""
    sent = Counter[str]()
    for one in (evidence.bank or {}).get("payouts", ()):
        if one["state"] in STANDS:
            sent[one["merchant"]] += one["amount"]
    for merchant, amount in sent.items():
        due = prepared.get(merchant, 0)
        if amount > due and (due or ending is not None):
            text = f"payout {evidence.id}: {due} was prepared for {merchant}, the bank sent"
            yield Violation(f"{text} {amount}", _PAID_OUT)


def instalments(evidence: Evidence) -> Iterator[Violation]:
    """What was financed is paid, due, absorbed by returns or given up; what is due is the debt.

    A debt may differ while a saga about its order runs, which moves both.
    """
    plan: InstalmentPlan | None = evidence.state("plan")
    if plan is None:
        return
    order = evidence.id
    given_up = sum(
        event.principal.amount for event in evidence.of("plan") if isinstance(event, PlanWrittenOff)
    )
    absorbed = sum(one.absorbed.amount for one in plan.adjustments.values())
    paid, due = plan.paid_principal.amount, plan.outstanding.amount
    if plan.financed.amount != paid + due + absorbed + given_up:
        yield Violation(
            f"plan {order}: {plan.financed} financed, but {paid} paid, {due} due,"
            f" {absorbed} absorbed and {given_up} given up"
        )
    placed = placed_of(evidence)
    if placed is None or plan.financed != placed.total - placed.down_payment:
        text = f"plan {order}: {plan.financed} financed, which is not what was bought"
        yield Violation(text, steps("OpenPlan"))
    debt = sum(
        event.amount.amount * (1 if isinstance(event, CreditConsumed) else -1)
        for _, event in evidence.mentioned(CreditConsumed, CreditRestored, DebtWrittenOff)
    )
    if debt != due and not _is_moving(evidence):
        yield Violation(f"plan {order}: {due} due, but the customer owes {debt}", _PLAN)


def _is_moving(evidence: Evidence) -> bool:
    """Whether a saga about the order has not ended."""
    return any(one.ending is None for one in evidence.sagas.values())


def returns(evidence: Evidence) -> Iterator[Violation]:
    """What came back is in stock, off the merchant's balance, absorbed or refunded: all or none."""
    restocked: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for _, event in evidence.mentioned(StockReturned):
        restocked[event.return_id][event.sku] += event.quantity
    clawed_back = {event.return_id for _, event in evidence.mentioned(PayableClawedBack)}
    plan: InstalmentPlan | None = evidence.state("plan")
    order = evidence.state("order")
    for return_id, one in (order.returns if order else {}).items():
        saga = evidence.sagas.get(return_order.saga_id(return_id))
        if not one.completed or (saga is not None and saga.ending is None):
            continue
        yield from _restocked(one, restocked[return_id])
        if one.accepted.value.amount and return_id not in clawed_back:
            text = f"return {return_id}: the merchant still has what it was worth"
            yield Violation(text, _RETURNED)
        if plan is not None:
            yield from _refunded(one, plan)
    adjusted: set[str] = set(plan.adjustments) if plan else set()
    for return_id in {*restocked, *clawed_back, *adjusted}:
        saga = evidence.sagas.get(return_order.saga_id(return_id))
        if saga is not None and saga.ending not in {None, "completed"}:
            yield from _nothing_of(return_id, restocked, clawed_back, adjusted)


def _restocked(one: Return, found: Counter[str]) -> Iterator[Violation]:
    wanted: Counter[str] = Counter()
    for line in one.accepted.lines:
        wanted[line.sku] += line.quantity
    expected = wanted if one.accepted.why == "returned" else Counter()
    if found != expected:
        name = one.accepted.return_id
        text = f"return {name}: {dict(found)} is back in stock, not {dict(expected)}"
        yield Violation(text, _RETURNED)


def _refunded(one: Return, plan: InstalmentPlan) -> Iterator[Violation]:
    name, value = one.accepted.return_id, one.accepted.value
    adjustment = plan.adjustments.get(name)
    if adjustment is None:
        yield Violation(f"return {name}: the plan knows nothing of it", _RETURNED)
    elif adjustment.value != value or adjustment.refund != value - adjustment.absorbed:
        yield Violation(f"return {name}: worth {value}, but the plan says {adjustment.value}")
    elif not adjustment.paid:
        text = f"return {name}: its refund of {adjustment.refund} was not paid"
        yield Violation(text, _RETURNED)


def _nothing_of(
    return_id: str,
    restocked: Mapping[str, Counter[str]],
    clawed_back: set[str],
    adjusted: set[str],
) -> Iterator[Violation]:
    message = f"return {return_id}: was taken back"
    if restocked.get(return_id):
        yield Violation(f"{message}, but is in stock", _RETURNED)
    if return_id in clawed_back:
        yield Violation(f"{message}, but not for the merchant", _RETURNED)
    if return_id in adjusted:
        yield Violation(f"{message}, but the plan is still adjusted", _RETURNED)


def refunds_equal_adjustments(evidence: Evidence) -> Iterator[Violation]:
    """A customer is refunded what the return left over, once."""
    owed: dict[str, int] = {}
    for event in evidence.of("plan"):
        match event:
            case PlanAdjusted(return_id=return_id, refund=refund):
                owed[return_id] = refund.amount
            case RefundPaid(return_id=return_id, amount=amount):
                due = owed.pop(return_id, 0)
                if amount.amount != due:
                    text = f"return {return_id}: {amount} refunded, but {due} was owed"
                    yield Violation(text, _REFUNDED)
            case _:
                pass

"""What must be true of an order whose checkout has ended, and of what was promised for it.

A saga that still runs has not settled yet: only ended ones are held to account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
)
from domain.inventory.events import StockReleased, StockReserved, StockReturned, StockShipped
from domain.ordering.events import OrderPlaced, ReturnAccepted
from domain.settlement.events import PayableAccrued, PayableClawedBack
from handrail.verify.violations import Violation, steps
from runtime.verify.evidence import CHECKOUT, Evidence

_CUSTOMER_PAYS: Final = steps(
    "AuthoriseDownPayment", "CapturePayment", "HoldCredit", "ConsumeCredit"
)
_MERCHANT_IS_OWED: Final = steps("AccruePayable")
_CLAWED_BACK: Final = steps("ClawBack", "AcceptReturn")
_BOOKED: Final = steps("BookShipment")
_RESERVED: Final = steps("ReserveStock", "ShipStock", "Restock")
_CREDIT: Final = steps(
    "HoldCredit", "ConsumeCredit", "RestoreCredit", "WriteOffDebt", "CollectInstalment"
)


def ending_of(evidence: Evidence) -> str | None:
    """How the checkout of the order ended; None where it has not, and for all but orders."""
    own = evidence.sagas.get(evidence.id)
    return own.ending if own is not None and own.saga_type == CHECKOUT else None


def placed_of(evidence: Evidence) -> OrderPlaced | None:
    return next((one for one in evidence.of("order") if isinstance(one, OrderPlaced)), None)


def money_conserved(evidence: Evidence) -> Iterator[Violation]:
    """What customers paid and owe is what merchants are owed and we earned, order by order."""
    yield from _balance(evidence)
    yield from _clawed_back(evidence)
    ended, placed = ending_of(evidence), placed_of(evidence)
    if ended is None or placed is None:
        return
    order = evidence.id
    due = placed.total.amount if ended == "completed" else 0
    paid = evidence.state("payment")
    taken = paid.amount.amount if paid and paid.status in {"authorised", "captured"} else 0
    debt = sum(event.amount.amount for _, event in evidence.mentioned(CreditConsumed))
    if taken + debt != due:
        text = f"order {order} ({ended}): customer pays {taken} + {debt} of {due}"
        yield Violation(text, _CUSTOMER_PAYS)
    accrued = sum(event.gross.amount for _, event in evidence.mentioned(PayableAccrued))
    if accrued != due:
        text = f"order {order} ({ended}): merchant is owed for {accrued} of {due}"
        yield Violation(text, _MERCHANT_IS_OWED)


def _balance(evidence: Evidence) -> Iterator[Violation]:
    merchant, account = evidence.id, evidence.state("merchant")
    figures = evidence.figures.get("merchant")
    if account is None or figures is None:
        return
    yield from (Violation(f"merchant {merchant}: {wrong}") for wrong in figures.wrong)
    if figures.owed != account.balance.amount:
        yield Violation(
            f"merchant {merchant}: {account.balance} owed, its events say {figures.owed}"
        )


def _clawed_back(evidence: Evidence) -> Iterator[Violation]:
    """Only what came back is taken back from the merchant, once, less its share of the fee."""
    values = {
        event.return_id: event.value.amount
        for event in evidence.of("order")
        if isinstance(event, ReturnAccepted)
    }
    fees = {
        merchant: (event.gross.amount, event.fee.amount)
        for merchant, event in evidence.mentioned(PayableAccrued)
    }
    seen = set[str]()
    yield from _fee_on_all(evidence, fees)
    for merchant, event in evidence.mentioned(PayableClawedBack):
        message = f"merchant {merchant}: {event.amount} taken back for {event.return_id}"
        value = values.get(event.return_id)
        if value is None:
            yield Violation(f"{message}, of which nothing came back", _CLAWED_BACK)
        elif merchant in fees and not _is_worth(event.amount.amount, value, *fees[merchant]):
            yield Violation(f"{message}, worth {value}", _CLAWED_BACK)
        if event.return_id in seen:
            yield Violation(f"{message}, a second time", _CLAWED_BACK)
        seen.add(event.return_id)


def _fee_on_all(evidence: Evidence, fees: Mapping[str, tuple[int, int]]) -> Iterator[Violation]:
    """Of an order that came back in pieces, the fees on these come to that on all of them.

    Each piece was rounded alone as long as events did not say what it was sold for.
    """
    pieces: dict[str, list[PayableClawedBack]] = {}
    for merchant, event in evidence.mentioned(PayableClawedBack):
        pieces.setdefault(merchant, []).append(event)
    for merchant, events in pieces.items():
        gross, fee = fees.get(merchant, (0, 0))
        sold = [event.gross.amount for event in events if event.gross is not None]
        taken = sum(event.amount.amount for event in events)
        if len(sold) == len(events) and sum(sold) == gross and taken != gross - fee:
            text = f"merchant {merchant}: {taken} taken back for all of {evidence.id}"
            yield Violation(f"{text}, of which {gross - fee} was owed", _CLAWED_BACK)


def _is_worth(amount: int, value: int, gross: int, fee: int) -> bool:
    """Exactly where all came back; the share of the fee is rounded where a part did."""
    off = abs((value - amount) * gross - value * fee)
    return off <= gross if value < gross else off == 0


def carrier_agrees(evidence: Evidence) -> Iterator[Violation]:
    """The carrier carries one parcel for every completed order, and none for the others."""
    ended = ending_of(evidence)
    theirs = sum(
        one["state"] != "cancelled" for one in (evidence.carrier or {}).get("bookings", ())
    )
    if theirs and evidence.id not in evidence.sagas:
        yield Violation(f"order {evidence.id}: the carrier knows it, we do not")
    if evidence.carrier is None or ended is None:
        return
    if theirs != (ended == "completed" and evidence.state("order") is not None):
        text = f"order {evidence.id} ({ended}): the carrier has {theirs} bookings"
        yield Violation(text, _BOOKED)


def stock_conserved(evidence: Evidence) -> Iterator[Violation]:
    """Stock is never negative and none is lost: what was received and came back is available,
    reserved or shipped.
    """
    yield from _item(evidence)
    reserved, outside = Counter[str](), Counter[str]()
    kinds = (StockReserved, StockReleased, StockShipped, StockReturned)
    for item, event in evidence.mentioned(*kinds):
        if isinstance(event, StockReturned | StockShipped):
            outside[item] += event.quantity * (1 if isinstance(event, StockShipped) else -1)
        if not isinstance(event, StockReturned):
            reserved[item] += event.quantity * (1 if isinstance(event, StockReserved) else -1)
    ended = ending_of(evidence)
    for item, quantity in reserved.items():
        if quantity and ended not in {None, "completed"}:
            text = f"stock {item}: {quantity} still reserved for {evidence.id} ({ended})"
            yield Violation(text, _RESERVED)
    for item, quantity in outside.items():
        if quantity < 0:
            text = f"stock {item}: {-quantity} more came back of {evidence.id} than was shipped"
            yield Violation(text, _RESERVED)


def _item(evidence: Evidence) -> Iterator[Violation]:
    item, state, figures = evidence.id, evidence.state("stock"), evidence.figures.get("stock")
    if state is None or figures is None:
        return
    yield from (Violation(f"stock {item}: {wrong}") for wrong in figures.wrong)
    if state.available < 0:
        yield Violation(f"stock {item}: {state.available} available")
    if figures.inside != state.available + state.reserved:
        yield Violation(
            f"stock {item}: {figures.inside} came and did not leave,"
            f" but {state.available} available and {state.reserved} reserved"
        )


def credit_exposure(evidence: Evidence) -> Iterator[Violation]:
    """Exposure is the sum of holds of running sagas and plans of completed ones; a debt becomes
    smaller by what was paid, came back or was written off, and by nothing else.
    """
    yield from _line(evidence)
    held, owed = Counter[str](), Counter[str]()
    for customer, event in evidence.mentioned(CreditHeld, CreditReleased, CreditConsumed):
        held[customer] += event.amount.amount * (1 if isinstance(event, CreditHeld) else -1)
    for customer, event in evidence.mentioned(CreditConsumed, CreditRestored, DebtWrittenOff):
        owed[customer] += event.amount.amount * (1 if isinstance(event, CreditConsumed) else -1)
    order, ended, placed = evidence.id, ending_of(evidence), placed_of(evidence)
    for customer, amount in held.items():
        if amount > 0 and ended is not None:
            text = f"customer {customer}: {amount} still held for {order} ({ended})"
            yield Violation(text, _CREDIT)
    for customer, amount in owed.items():
        if amount and ended not in {None, "completed"}:
            yield Violation(f"customer {customer}: owes for {order} ({ended})", _CREDIT)
        if placed and amount > (placed.total - placed.down_payment).amount:
            text = f"customer {customer}: owes {amount} for {order}, more than was financed"
            yield Violation(text, _CREDIT)


def _line(evidence: Evidence) -> Iterator[Violation]:
    customer, line, figures = (
        evidence.id,
        evidence.state("credit"),
        evidence.figures.get("credit"),
    )
    if line is None or figures is None:
        return
    for order in figures.debts.keys() | line.debts.keys():
        amount, debt = figures.debts[order], line.debts.get(order)
        if amount != (debt.amount if debt else 0):
            yield Violation(
                f"customer {customer}: owes {debt} for {order}, but the events say {amount}"
            )
    used = figures.debts.total()
    if line.used.amount != used:
        yield Violation(f"customer {customer}: {line.used} used, but the events say {used}")

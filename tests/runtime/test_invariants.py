"""Every invariant is broken here on purpose: a proof that cannot fail proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from domain.credit.events import CreditConsumed, CreditHeld, CreditRestored, LimitAssigned
from domain.identifiers import CustomerId, MerchantId, OrderId, PayoutId, ReturnId, Sku
from domain.inventory.events import StockReceived, StockReserved, StockReturned, StockShipped
from domain.ordering.events import OrderLine, OrderPlaced, ReturnAccepted, ReturnLine
from domain.payments.events import (
    PaymentAuthorised,
    PaymentCaptured,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    Reduction,
    RefundPaid,
)
from domain.settlement.events import (
    MerchantAccountOpened,
    PayableAccrued,
    PayableClawedBack,
    PayoutPrepared,
)
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.kernel import Event, Money
from handrail.sagas.events import SagaEnded, SagaStarted, StepDone
from handrail.verify.evidence import FenceRow
from handrail.verify.feed_invariants import page_in_order
from handrail.verify.read_model_invariants import seen_by
from projections import merchant_balance
from runtime.verify.invariants import INVARIANTS
from tests.runtime.stores import AT, Stores, evidence, violations

ORDER, CUSTOMER, MERCHANT = OrderId("o1"), CustomerId("c1"), MerchantId("m1")


def eur(cents: int) -> Money:
    return Money(cents, "EUR")


started = (
    "saga-o1",
    SagaStarted(
        saga="o1",
        saga_type="Checkout",
        shape=1,
        attempt=1,
        tenant=MERCHANT,
        at_stake=eur(100),
        actor="test",
    ),
)
completed = (
    "saga-o1",
    SagaEnded(saga="o1", attempt=1, ending="completed", because="", reason=""),
)
refused = (
    "saga-o1",
    SagaEnded(saga="o1", attempt=1, ending="refused", because="CreditRefused", reason=""),
)
placed = (
    "order-o1",
    OrderPlaced(
        order=ORDER,
        customer=CUSTOMER,
        merchant=MERCHANT,
        lines=(OrderLine(sku=Sku("s1"), quantity=1, unit_price=eur(100)),),
        total=eur(100),
        down_payment=eur(25),
        instalments=3,
        placed_at=AT,
    ),
)
held = (
    "credit-c1",
    CreditHeld(customer=CUSTOMER, order=ORDER, amount=eur(75), held=eur(75), used=eur(0)),
)
consumed = (
    "credit-c1",
    CreditConsumed(customer=CUSTOMER, order=ORDER, amount=eur(75), held=eur(0), used=eur(75)),
)
limit = (
    "credit-c1",
    LimitAssigned(customer=CUSTOMER, limit=eur(500), held=eur(0), used=eur(0)),
)
authorised = ("payment-o1", PaymentAuthorised(order=ORDER, amount=eur(25), authorisation="a"))
captured = ("payment-o1", PaymentCaptured(order=ORDER, amount=eur(25), capture="c"))
opened = (
    "merchant-m1",
    MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=300),
)
accrued = (
    "merchant-m1",
    PayableAccrued(merchant=MERCHANT, order=ORDER, gross=eur(100), fee=eur(3), balance=eur(97)),
)
received = (
    "stock-m1:s1",
    StockReceived(
        merchant=MERCHANT, sku=Sku("s1"), delivery="d", quantity=1, available=1, reserved=0
    ),
)
reserved = (
    "stock-m1:s1",
    StockReserved(
        merchant=MERCHANT, sku=Sku("s1"), order=ORDER, quantity=1, available=0, reserved=1
    ),
)
planned = (
    "plan-o1",
    PlanOpened(
        order=ORDER,
        customer=CUSTOMER,
        card="card_ok",
        instalments=tuple(
            PlannedInstalment(number=number, due=date(2026, 12, number), amount=eur(25))
            for number in (1, 2, 3)
        ),
    ),
)
A_COMPLETED_ORDER = (
    *(opened, limit, received, started, placed, reserved, held, authorised, captured),
    *(consumed, accrued, planned, completed),
)
RETURN = ReturnId("r1")
shipped = (
    "stock-m1:s1",
    StockShipped(
        merchant=MERCHANT, sku=Sku("s1"), order=ORDER, quantity=1, available=0, reserved=0
    ),
)
returned = (
    "stock-m1:s1",
    StockReturned(
        merchant=MERCHANT,
        sku=Sku("s1"),
        order=ORDER,
        return_id=RETURN,
        quantity=1,
        available=1,
        reserved=0,
    ),
)
accepted = (
    "order-o1",
    ReturnAccepted(
        order=ORDER,
        return_id=RETURN,
        lines=(ReturnLine(sku=Sku("s1"), quantity=1),),
        value=eur(100),
        why="returned",
        accepted_at=AT,
    ),
)
restored = (
    "credit-c1",
    CreditRestored(
        customer=CUSTOMER, order=ORDER, amount=eur(75), held=eur(0), used=eur(0), payment="r1"
    ),
)
clawed_back = (
    "merchant-m1",
    PayableClawedBack(
        merchant=MERCHANT, order=ORDER, return_id=RETURN, amount=eur(97), balance=eur(0)
    ),
)
absorbed = (
    "plan-o1",
    PlanAdjusted(
        order=ORDER,
        return_id=RETURN,
        value=eur(100),
        absorbed=eur(75),
        refund=eur(25),
        reductions=tuple(Reduction(number=number, amount=eur(25)) for number in (3, 2, 1)),
    ),
)
paid_back = (
    "plan-o1",
    RefundPaid(order=ORDER, return_id=RETURN, amount=eur(25), refund="refund-1"),
)
A_RETURN = (shipped, accepted, absorbed, restored, clawed_back, returned, paid_back)
BANK: dict[str, list[dict[str, Any]]] = {
    "authorisations": [{"order": "o1", "state": "captured", "amount": 25}],
    "charges": [],
    "refunds": [],
    "payouts": [],
}
CARRIER = {"bookings": [{"order": "o1", "state": "booked"}]}


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_it_holds_for_an_order_that_was_completed(invariant: str) -> None:
    found = evidence(*A_COMPLETED_ORDER)
    found.bank, found.carrier = BANK, CARRIER

    assert violations(invariant, found) == []


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_it_holds_for_an_order_that_came_back(invariant: str) -> None:
    assert violations(invariant, evidence(*A_COMPLETED_ORDER, *A_RETURN)) == []


def test_it_holds_for_the_sagas_of_other_processes() -> None:
    other = (
        "saga-return-r1",
        SagaEnded(saga="return-r1", attempt=1, ending="completed", because="", reason=""),
    )
    found = evidence(*A_COMPLETED_ORDER, other)
    found.bank, found.carrier = BANK, CARRIER

    assert violations("carrier_agrees", found) == []


def without(*missing: tuple[str, Event]) -> Stores:
    return evidence(*(one for one in A_COMPLETED_ORDER if one not in missing))


def test_money_that_was_never_taken_is_seen() -> None:
    assert violations("money_conserved", without(captured, authorised))


def test_a_merchant_who_is_not_owed_is_seen() -> None:
    assert violations("money_conserved", without(accrued))


def test_money_kept_from_a_refused_customer_is_seen() -> None:
    assert violations("money_conserved", evidence(started, placed, authorised, refused))


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        [{"order": "o1", "state": "captured", "amount": 26}],
        [*BANK["authorisations"], {"order": "o1", "state": "authorised", "amount": 25}],
        [*BANK["authorisations"], {"order": "o2", "state": "voided", "amount": 25}],
    ],
    ids=["nothing", "another amount", "a second hold", "an order we do not know"],
)
def test_a_bank_that_has_something_else_is_seen(theirs: list[dict[str, Any]]) -> None:
    found = evidence(*A_COMPLETED_ORDER)
    found.bank = BANK | {"authorisations": theirs}

    assert violations("bank_agrees", found)


@pytest.mark.parametrize("bookings", [[], CARRIER["bookings"] * 2], ids=["none", "two"])
def test_a_carrier_that_carries_another_number_is_seen(bookings: list[dict[str, str]]) -> None:
    found = evidence(*A_COMPLETED_ORDER)
    found.carrier = {"bookings": bookings}

    assert violations("carrier_agrees", found)


def test_a_parcel_of_an_order_that_we_do_not_know_is_seen() -> None:
    found = evidence(*A_COMPLETED_ORDER)
    found.carrier = {"bookings": [*CARRIER["bookings"], {"order": "o2", "state": "booked"}]}

    assert violations("carrier_agrees", found)


def test_stock_that_came_from_nowhere_is_seen() -> None:
    assert violations("stock_conserved", without(received))


def test_stock_that_came_back_and_never_left_is_seen() -> None:
    assert violations("stock_conserved", evidence(received, returned))


def test_stock_that_left_and_is_still_reserved_is_seen() -> None:
    found = evidence(received, reserved, shipped)
    item = found.states["stock"]["m1:s1"]
    found.states["stock"]["m1:s1"] = replace(item, reservations={ORDER: 1})

    assert violations("stock_conserved", found)


def test_a_debt_that_became_smaller_by_nothing_is_seen() -> None:
    found = without()
    line = found.states["credit"]["c1"]
    found.states["credit"]["c1"] = replace(line, debts={ORDER: eur(50)})

    assert violations("credit_exposure", found)


def test_a_debt_that_was_lost_on_the_way_is_seen() -> None:
    found = without()
    found.states["credit"]["c1"] = replace(found.states["credit"]["c1"], debts={})

    assert violations("credit_exposure", found)


def test_what_was_taken_back_from_a_merchant_for_no_return_is_seen() -> None:
    assert violations("money_conserved", evidence(*A_COMPLETED_ORDER, clawed_back))


def test_what_was_taken_back_twice_is_seen() -> None:
    twice = (
        "merchant-m1",
        replace(clawed_back[1], balance=eur(-97)),
    )
    found = evidence(*A_COMPLETED_ORDER, accepted, clawed_back, twice)

    assert violations("money_conserved", found)


def test_another_amount_taken_back_than_it_was_worth_is_seen() -> None:
    other = replace(clawed_back[1], amount=eur(96), balance=eur(1))
    found = evidence(*A_COMPLETED_ORDER, accepted, ("merchant-m1", other))

    assert violations("money_conserved", found)


def test_a_balance_that_does_not_follow_from_its_events_is_seen() -> None:
    payout = PayoutId("p1")
    right = PayoutPrepared(merchant=MERCHANT, payout=payout, amount=eur(97), balance=eur(0))
    wrong = replace(right, balance=eur(97))

    assert not violations("money_conserved", evidence(*A_COMPLETED_ORDER, ("merchant-m1", right)))
    assert violations("money_conserved", evidence(*A_COMPLETED_ORDER, ("merchant-m1", wrong)))


def test_stock_reserved_for_a_refused_order_is_seen() -> None:
    assert violations("stock_conserved", evidence(received, started, reserved, refused))


def test_credit_held_for_an_ended_saga_is_seen() -> None:
    assert violations("credit_exposure", evidence(limit, started, held, refused))


def test_a_debt_for_a_refused_order_is_seen() -> None:
    assert violations("credit_exposure", evidence(limit, started, held, consumed, refused))


def test_a_step_that_was_not_taken_back_is_seen() -> None:
    done = ("saga-o1", StepDone(saga="o1", attempt=1, step="HoldCredit", outcome="CreditHeld"))

    assert violations("steps_have_outcomes", evidence(started, done, refused))


def test_a_step_that_the_fence_does_not_know_is_seen() -> None:
    done = ("saga-o1", StepDone(saga="o1", attempt=1, step="HoldCredit", outcome="CreditHeld"))
    found = evidence(started, done)
    found.fence.clear()

    assert violations("steps_have_outcomes", found)


def test_what_a_company_let_go_of_and_was_never_done_is_no_compensation() -> None:
    found = evidence(started, refused)
    found.fence["o1"] = [
        FenceRow(1, "RefundPayment", "do", answered=False),
        FenceRow(1, "RefundPayment", "undo", answered=True),
    ]

    assert violations("steps_have_outcomes", found) == []


def test_a_compensation_of_what_was_done_that_no_stream_tells_of_is_seen() -> None:
    done = ("saga-o1", StepDone(saga="o1", attempt=1, step="HoldCredit", outcome="CreditHeld"))
    found = evidence(started, done)
    found.fence["o1"].append(FenceRow(1, "HoldCredit", "undo", answered=True))

    said = "step o1/HoldCredit/undo is known to the fence only"
    assert violations("steps_have_outcomes", found) == [said]


def test_a_saga_that_ended_twice_is_seen() -> None:
    assert violations("steps_have_outcomes", evidence(started, completed, completed))


@pytest.mark.parametrize(
    "fed",
    [[1, 2], [1, 2, 3, 3], [3, 2, 1], [1, 2, 3, 4]],
    ids=["lost", "twice", "turned around", "not stored"],
)
def test_a_feed_that_errs_is_seen(fed: list[int]) -> None:
    assert list(page_in_order(0, [1, 2, 3], [1, 2, 3])) == []
    assert list(page_in_order(0, fed, [1, 2, 3]))


def test_a_stream_with_a_gap_is_seen() -> None:
    [order] = [one for one in evidence(*A_COMPLETED_ORDER).evidence() if one.id == "o1"]
    order.heads["payment-o1"] += 1

    assert list(INVARIANTS["feed_once_in_order"](order))


def test_a_read_model_that_differs_from_its_events_is_seen() -> None:
    def at(since: str) -> Stores:
        found = evidence(opened, accrued)
        found.seen = seen_by(
            {
                "projection": "merchant_balance",
                "shard": shard,
                "since": since,
                "until": None,
                "after_position": 0,
            }
            for shard in range(SHARDS)
        )
        found.rows = {"merchant_balance": {"m1": vars(right)}}
        return found

    right = merchant_balance.MerchantBalance(
        merchant="m1",
        currency="EUR",
        fee_bps=300,
        balance=97,
        gross=100,
        fees=3,
        orders=1,
        opened_at=AT,
        updated_at=AT,
    )
    of_others, missing = at("99:99:"), at("99:99:")
    of_others.rows = {"merchant_balance": {"m1": {**vars(right), "balance": 98}}}
    missing.rows = {}

    assert violations("read_models_equal_fold", at("99:99:")) == []
    assert violations("read_models_equal_fold", of_others)
    assert violations("read_models_equal_fold", missing)
    assert violations("read_models_equal_fold", at(NOTHING_SEEN)), "ahead of its checkpoint"


def test_pieces_that_came_back_come_to_the_fee_on_the_whole() -> None:
    """Of 33, 33 and 34 at two percent: 1, 0 and 1, where each alone would be 1."""
    at_two = replace(opened[1], fee_bps=200)
    owed = replace(accrued[1], fee=eur(2), balance=eur(98))
    pieces, left = list[tuple[str, Event]](), 98
    for number, (gross, fee) in enumerate([(33, 1), (33, 0), (34, 1)]):
        left -= gross - fee
        name = ReturnId(f"r{number}")
        pieces.append(
            ("order-o1", replace(accepted[1], return_id=name, value=eur(gross), lines=()))
        )
        back = replace(
            clawed_back[1],
            return_id=name,
            amount=eur(gross - fee),
            balance=eur(left),
            gross=eur(gross),
        )
        pieces.append(("merchant-m1", back))
    rest = [one for one in A_COMPLETED_ORDER if one not in (opened, accrued)]
    right = [("merchant-m1", at_two), ("merchant-m1", owed), *rest, *pieces]
    assert violations("money_conserved", evidence(*right)) == []

    alone = replace(back, amount=eur(34), balance=eur(-1))
    wrong = [*right[:-1], ("merchant-m1", alone)]
    assert violations("money_conserved", evidence(*wrong))

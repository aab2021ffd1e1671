"""Instalments, refunds and payouts: every invariant is broken here on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.credit.events import CreditRestored
from domain.identifiers import PayoutId
from domain.ordering.events import OrderConfirmed, ReturnCompleted
from domain.payments.events import (
    InstalmentCollected,
    PayoutTransferred,
    PlanAdjusted,
    PlanWrittenOff,
    Reduction,
    RefundPaid,
)
from handrail.sagas.events import SagaEnded, SagaStarted
from tests.runtime.stores import Happening, evidence, violations
from tests.runtime.test_invariants import (
    A_COMPLETED_ORDER,
    BANK,
    CUSTOMER,
    MERCHANT,
    ORDER,
    RETURN,
    accepted,
    clawed_back,
    eur,
    planned,
    returned,
    shipped,
)

COLLECTING, RETURNING = "instalment-o1-1", "return-r1"


def begun(saga: str) -> Happening:
    event = SagaStarted(
        saga=saga,
        saga_type="Other",
        shape=1,
        attempt=1,
        tenant=MERCHANT,
        at_stake=eur(25),
        actor="test",
    )
    return f"saga-{saga}", event


def ended(saga: str, ending: Any = "completed") -> Happening:
    return f"saga-{saga}", SagaEnded(saga=saga, attempt=1, ending=ending, because="", reason="")


def restored(cents: int, payment: str, used: int) -> Happening:
    event = CreditRestored(
        customer=CUSTOMER,
        order=ORDER,
        amount=eur(cents),
        held=eur(0),
        used=eur(used),
        payment=payment,
    )
    return "credit-c1", event


collected = (
    "plan-o1",
    InstalmentCollected(order=ORDER, number=1, principal=eur(25), fees=eur(0), charge="charge-1"),
)
adjusted = (
    "plan-o1",
    PlanAdjusted(
        order=ORDER,
        return_id=RETURN,
        value=eur(100),
        absorbed=eur(50),
        refund=eur(50),
        reductions=(
            Reduction(number=3, amount=eur(25)),
            Reduction(number=2, amount=eur(25)),
        ),
    ),
)
refunded = (
    "plan-o1",
    RefundPaid(order=ORDER, return_id=RETURN, amount=eur(50), refund="refund-1"),
)
came_back = (
    "order-o1",
    ReturnCompleted(order=ORDER, return_id=RETURN, everything=True),
)
transferred = (
    "transfer-p1",
    PayoutTransferred(
        payout=PayoutId("p1"), merchant=MERCHANT, amount=eur(97), transfer="payout-1"
    ),
)
confirmed = ("order-o1", OrderConfirmed(order=ORDER))
A_PAID_INSTALMENT = (
    *A_COMPLETED_ORDER,
    *(confirmed, begun(COLLECTING), collected, restored(25, "1", 50), ended(COLLECTING)),
)
A_RETURN = (
    *A_PAID_INSTALMENT,
    *(shipped, begun(RETURNING), accepted, adjusted, returned, clawed_back),
    *(restored(50, "r1", 0), refunded, came_back, ended(RETURNING)),
)


def entry(reference: str, saga: str, amount: int, state: str, about: str) -> dict[str, Any]:
    names = {"payout": about, "merchant": MERCHANT} if about == "p1" else {"order": about}
    return {
        **names,
        "reference": reference,
        "key": f"{saga}/1/Step/do",
        "amount": amount,
        "state": state,
    }


CHARGE = entry("charge-1", COLLECTING, 25, "captured", "o1")
REFUND = entry("refund-1", RETURNING, 50, "paid", "o1")
PAYOUT = entry("payout-1", "payout-p1", 97, "paid", "p1")
ALL_OF_IT = (*A_RETURN, begun("payout-p1"), transferred, ended("payout-p1"))
BOOKS = BANK | {"charges": [CHARGE], "refunds": [REFUND], "payouts": [PAYOUT]}


@pytest.mark.parametrize("invariant", ["bank_agrees", "instalments", "returns"])
@pytest.mark.parametrize("story", [A_PAID_INSTALMENT, A_RETURN, ALL_OF_IT])
def test_it_holds_for_what_went_well(story: tuple[Happening, ...], invariant: str) -> None:
    found = evidence(*story)
    told = {one for _, event in story for one in vars(event).values() if isinstance(one, str)}
    found.bank = {
        kind: [one for one in several if one.get("reference", "charge-1") in told]
        for kind, several in BOOKS.items()
    }

    assert violations(invariant, found) == []


@pytest.mark.parametrize("kind", ["charges", "refunds", "payouts"])
def test_a_bank_that_moved_another_amount_is_seen(kind: str) -> None:
    found = evidence(*ALL_OF_IT)
    [right] = BOOKS[kind]

    for wrong in ([], [right | {"amount": 1}], [right | {"state": "refunded"}]):
        found.bank = BOOKS | {kind: wrong}
        assert violations("bank_agrees", found)


@pytest.mark.parametrize("kind", ["charges", "refunds", "payouts"])
def test_money_that_the_bank_moved_and_we_do_not_know_is_seen(kind: str) -> None:
    found = evidence(*ALL_OF_IT)
    [right] = BOOKS[kind]
    found.bank = BOOKS | {kind: [right, right | {"reference": "another"}]}

    assert violations("bank_agrees", found)


def test_a_charge_of_a_saga_that_we_do_not_know_is_seen() -> None:
    found = evidence(*ALL_OF_IT)
    unknown = entry("charge-2", "instalment-o1-9", 25, "captured", "o1")
    found.bank = BOOKS | {"charges": [CHARGE, unknown]}

    assert violations("bank_agrees", found)


def test_a_charge_of_a_saga_that_still_runs_is_none_of_our_books_yet() -> None:
    found = evidence(*ALL_OF_IT, begun("instalment-o1-2"))
    late = entry("charge-2", "instalment-o1-2", 25, "captured", "o1")
    found.bank = BOOKS | {"charges": [CHARGE, late]}

    assert violations("bank_agrees", found) == []


def test_a_plan_of_another_amount_than_was_bought_is_seen() -> None:
    of_less = replace(planned[1], instalments=planned[1].instalments[:2])

    assert violations("instalments", evidence(*A_COMPLETED_ORDER, ("plan-o1", of_less)))


def test_a_debt_that_is_not_what_is_due_is_seen() -> None:
    less = (one for one in A_PAID_INSTALMENT if one != restored(25, "1", 50))

    assert violations("instalments", evidence(*less))


def test_a_debt_may_differ_while_a_saga_about_it_runs() -> None:
    for saga in (COLLECTING, "settle-o1"):
        found = evidence(*A_COMPLETED_ORDER, begun(saga), collected)
        assert violations("instalments", found) == []
    other = evidence(*A_COMPLETED_ORDER, begun("settle-o11"), collected)
    assert violations("instalments", other)


def test_principal_that_a_plan_lost_is_seen() -> None:
    found = evidence(*A_PAID_INSTALMENT)
    plan = found.states["plan"]["o1"]
    found.states["plan"]["o1"] = replace(plan, instalments=plan.instalments[:2])

    assert violations("instalments", found)


def test_what_was_given_up_is_counted() -> None:
    lost = PlanWrittenOff(order=ORDER, principal=eur(50), fees=eur(0))
    found = evidence(*A_PAID_INSTALMENT, restored(50, "lost", 0), ("plan-o1", lost))

    assert violations("instalments", found) == []


@pytest.mark.parametrize(
    "missing", [returned, clawed_back, refunded], ids=["stock", "merchant", "refund"]
)
def test_a_return_that_was_completed_by_half_is_seen(missing: Happening) -> None:
    assert violations("returns", evidence(*(one for one in A_RETURN if one != missing)))


def test_a_lost_parcel_is_not_back_in_stock() -> None:
    lost = (accepted[0], replace(accepted[1], why="lost"))
    story = [lost if one == accepted else one for one in A_RETURN]

    assert violations("returns", evidence(*story))
    assert violations("returns", evidence(*(one for one in story if one != returned))) == []


@pytest.mark.parametrize(
    "left",
    [(shipped, returned), (clawed_back,), (planned, adjusted)],
    ids=["stock", "merchant", "plan"],
)
def test_a_return_that_was_not_taken_back_as_a_whole_is_seen(left: tuple[Happening, ...]) -> None:
    story = (*A_COMPLETED_ORDER, begun(RETURNING), *left, ended(RETURNING, "compensated"))

    assert violations("returns", evidence(*story))

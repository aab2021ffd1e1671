"""What merchants are paid, and what finance's clearing accounts say of it: broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.identifiers import MerchantId, PayoutId
from domain.payments.events import PayoutTransferred
from domain.settlement.events import PayoutCancelled, PayoutPrepared
from handrail.sagas.events import SagaResumed
from tests.runtime.stores import Happening, Stores, evidence, explained, violations
from tests.runtime.test_invariants import A_COMPLETED_ORDER, A_RETURN, MERCHANT, eur, paid_back
from tests.runtime.test_invariants_of_money import PAYOUT, begun, ended

PAID, SAGA = PayoutId("p1"), "payout-p1"
prepared = (
    "merchant-m1",
    PayoutPrepared(merchant=MERCHANT, payout=PAID, amount=eur(97), balance=eur(0)),
)
cancelled = (
    "merchant-m1",
    PayoutCancelled(merchant=MERCHANT, payout=PAID, amount=eur(97), balance=eur(97)),
)
transferred = (
    "transfer-p1",
    PayoutTransferred(payout=PAID, merchant=MERCHANT, amount=eur(97), transfer="payout-1"),
)
A_PAYOUT = (*A_COMPLETED_ORDER, begun(SAGA), prepared, transferred, ended(SAGA))


def by_hand(step: str, saga: str, evidence_: str = "ticket 7") -> Happening:
    event = SagaResumed(
        saga=saga,
        attempt=1,
        step=step,
        direction="do",
        intervention=f"i1:{saga}",
        kind="resolve",
        actor="ops",
        reason="the bank says so",
        evidence=evidence_,
    )
    return f"saga-{saga}", event


def with_bank(stores: Stores, **changes: object) -> Stores:
    stores.bank = {"payouts": [PAYOUT | changes]}
    return stores


@pytest.mark.parametrize("invariant", ["payouts_equal_prepared", "clearing_accounts_at_zero"])
def test_it_holds_for_a_payout_that_arrived_or_was_cancelled(invariant: str) -> None:
    taken_back = (
        *A_COMPLETED_ORDER,
        begun(SAGA),
        prepared,
        cancelled,
        ended(SAGA, "compensated"),
    )

    assert violations(invariant, with_bank(evidence(*A_PAYOUT))) == []
    assert violations(invariant, evidence(*taken_back)) == []


def test_a_payout_that_was_corrected_to_a_million_is_seen_in_our_books() -> None:
    corrected = (transferred[0], replace(transferred[1], amount=eur(1_000_000_00)))
    story = (*A_COMPLETED_ORDER, begun(SAGA), prepared, corrected, ended(SAGA))

    [found] = violations("payouts_equal_prepared", evidence(*story))

    assert found == "payout p1: 97 is prepared for m1, 100000000 transferred"


def test_a_payout_of_another_amount_is_seen_at_the_bank() -> None:
    for state, amount in (("paid", 1_000_000_00), ("paid", 98)):
        found = with_bank(evidence(*A_PAYOUT), amount=amount, state=state)
        assert violations("payouts_equal_prepared", found)
    let_go = with_bank(evidence(*A_PAYOUT), amount=1_000_000_00, state="reversed")
    assert violations("payouts_equal_prepared", let_go) == []


def test_a_payout_to_somebody_else_is_seen() -> None:
    other = (transferred[0], replace(transferred[1], merchant=MerchantId("m2")))
    story = (*A_COMPLETED_ORDER, begun(SAGA), prepared, other, ended(SAGA))

    assert violations("payouts_equal_prepared", evidence(*story))
    assert violations("payouts_equal_prepared", with_bank(evidence(*A_PAYOUT), merchant="m2"))


def test_a_payout_that_was_cancelled_and_sent_is_seen() -> None:
    story = (*A_COMPLETED_ORDER, begun(SAGA), prepared, cancelled, ended(SAGA, "compensated"))

    assert violations("payouts_equal_prepared", evidence(*story, transferred))
    assert violations("payouts_equal_prepared", with_bank(evidence(*story)))


def test_a_payout_that_ended_and_sent_nothing_is_seen() -> None:
    story = (*A_COMPLETED_ORDER, begun(SAGA), prepared, ended(SAGA))

    for invariant in ("payouts_equal_prepared", "clearing_accounts_at_zero"):
        assert violations(invariant, evidence(*story))


def test_a_payout_that_still_runs_may_be_on_its_way() -> None:
    story = (*A_COMPLETED_ORDER, begun(SAGA), prepared)

    for invariant in ("payouts_equal_prepared", "clearing_accounts_at_zero"):
        assert violations(invariant, evidence(*story)) == []
        assert violations(invariant, with_bank(evidence(*A_COMPLETED_ORDER, begun(SAGA)))) == []


def test_a_transfer_that_a_person_made_by_hand_is_explained() -> None:
    story = (
        *A_COMPLETED_ORDER,
        begun(SAGA),
        prepared,
        by_hand("TransferPayout", SAGA),
        ended(SAGA),
    )

    for invariant in ("payouts_equal_prepared", "clearing_accounts_at_zero"):
        assert violations(invariant, evidence(*story)) == []
        assert explained(invariant, evidence(*story)) == [
            "by hand, TransferPayout of saga payout-p1"
        ]


def test_what_a_person_did_for_another_step_or_without_evidence_explains_nothing() -> None:
    for other in (by_hand("ConfirmPayout", SAGA), by_hand("TransferPayout", SAGA, "")):
        story = (*A_COMPLETED_ORDER, begun(SAGA), prepared, other, ended(SAGA))
        assert violations("payouts_equal_prepared", evidence(*story))


def test_a_refund_of_another_amount_than_the_return_left_over_is_seen() -> None:
    story = (*A_COMPLETED_ORDER, begun("return-r1"), *A_RETURN, ended("return-r1"))
    more = [
        (paid_back[0], replace(paid_back[1], amount=eur(26))) if it == paid_back else it
        for it in story
    ]

    assert violations("refunds_equal_adjustments", evidence(*story)) == []
    assert violations("refunds_equal_adjustments", evidence(*more))
    assert violations("refunds_equal_adjustments", evidence(*story, paid_back)), "twice"


@pytest.mark.parametrize("account", ["sales", "refunds"])
def test_what_is_left_on_a_clearing_account_of_an_order_is_seen(account: str) -> None:
    story = (*A_COMPLETED_ORDER, begun("return-r1"), *A_RETURN, ended("return-r1"))
    found = evidence(*story)
    assert violations("clearing_accounts_at_zero", found) == []

    found.balances["o1"][account] += 1

    assert violations("clearing_accounts_at_zero", found)


def test_a_return_under_way_may_leave_its_refund_open() -> None:
    story = (*A_COMPLETED_ORDER, begun("return-r1"), *A_RETURN[:3])

    assert violations("clearing_accounts_at_zero", evidence(*story)) == []
    assert violations("clearing_accounts_at_zero", evidence(*story, ended("return-r1")))

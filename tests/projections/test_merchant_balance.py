from __future__ import annotations

from functools import partial

import pytest

from domain.identifiers import MerchantId, OrderId, PayoutId
from domain.settlement.events import (
    MerchantAccountClosed,
    MerchantAccountOpened,
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutPrepared,
)
from handrail.projections.projection import OutOfPlace
from projections.merchant_balance import PROJECTION, MerchantBalance
from tests.controls import eur
from tests.projections import folds
from tests.projections.folds import at

BOB, ORDER = MerchantId("bob"), OrderId("1")
OPENED = MerchantAccountOpened(merchant=BOB, currency="EUR", fee_bps=290)
after = partial(folds.after, PROJECTION, id_="bob")


def accrued(gross: int, fee: int, balance: int) -> PayableAccrued:
    return PayableAccrued(
        merchant=BOB, order=ORDER, gross=eur(gross), fee=eur(fee), balance=eur(balance)
    )


def test_a_new_account_is_empty() -> None:
    assert after(OPENED) == MerchantBalance(
        merchant="bob", currency="EUR", fee_bps=290, opened_at=at(1), updated_at=at(1)
    )


def test_what_is_accrued_adds_up() -> None:
    row = after(OPENED, accrued(100, 3, 97), accrued(200, 6, 291))

    assert (row.balance, row.gross, row.fees, row.orders) == (291, 300, 9, 2)


def test_what_is_clawed_back_is_no_longer_owed() -> None:
    back = PayableClawedBack(merchant=BOB, order=ORDER, amount=eur(97), balance=eur(0))

    row = after(OPENED, accrued(100, 3, 97), back)

    assert (row.balance, row.clawed_back, row.orders) == (0, 97, 1)
    assert row.balance == row.gross - row.fees - row.clawed_back


PAYOUT = PayoutId("payout-1")
PREPARED = PayoutPrepared(merchant=BOB, payout=PAYOUT, amount=eur(90), balance=eur(7))
CANCELLED = PayoutCancelled(merchant=BOB, payout=PAYOUT, amount=eur(90), balance=eur(97))
CONFIRMED = PayoutConfirmed(merchant=BOB, payout=PAYOUT, amount=eur(90))


def test_what_is_on_its_way_is_no_longer_owed() -> None:
    row = after(OPENED, accrued(100, 3, 97), PREPARED)

    assert (row.balance, row.on_its_way, row.paid_out) == (7, 90, 0)
    assert row.payouts == {"payout-1": 90}


def test_what_arrived_was_paid_out() -> None:
    row = after(OPENED, accrued(100, 3, 97), PREPARED, CONFIRMED)

    assert (row.balance, row.on_its_way, row.paid_out, row.payouts) == (7, 0, 90, {})


def test_a_cancelled_payout_is_owed_again() -> None:
    row = after(OPENED, accrued(100, 3, 97), PREPARED, CANCELLED)

    assert (row.balance, row.on_its_way, row.paid_out, row.payouts) == (97, 0, 0, {})


def test_a_closed_account_says_so_until_it_is_opened_again() -> None:
    closed = MerchantAccountClosed(merchant=BOB)

    assert after(OPENED, closed).status == "closed"
    assert after(OPENED, closed, OPENED).status == "open"


def test_an_accrual_without_an_account_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(accrued(100, 3, 97))

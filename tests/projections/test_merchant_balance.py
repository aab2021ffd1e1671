from __future__ import annotations

from functools import partial

import pytest

from domain.kernel import MerchantId, OrderId
from domain.settlement.events import MerchantAccountOpened, PayableAccrued, PayableClawedBack
from projections.merchant_balance import PROJECTION, MerchantBalance
from projections.projection import OutOfPlace
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


def test_an_accrual_without_an_account_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(accrued(100, 3, 97))

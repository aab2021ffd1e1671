from __future__ import annotations

from functools import partial

import pytest

from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
    LimitAssigned,
)
from domain.identifiers import CustomerId, OrderId
from handrail.projections.projection import OutOfPlace
from projections.customer_account import PROJECTION, CustomerAccount
from tests.controls import eur
from tests.projections import folds
from tests.projections.folds import at

ANN, ORDER, OTHER = CustomerId("ann"), OrderId("1"), OrderId("2")
LIMIT = LimitAssigned(customer=ANN, limit=eur(500), held=eur(0), used=eur(0))
HELD = CreditHeld(customer=ANN, order=ORDER, amount=eur(75), held=eur(75), used=eur(0))
CONSUMED = CreditConsumed(customer=ANN, order=ORDER, amount=eur(75), held=eur(0), used=eur(75))
after = partial(folds.after, PROJECTION, id_="ann")


def restored(amount: int, used: int) -> CreditRestored:
    return CreditRestored(
        customer=ANN, order=ORDER, amount=eur(amount), held=eur(0), used=eur(used)
    )


def test_a_limit_opens_the_account() -> None:
    assert after(LIMIT) == CustomerAccount(
        customer="ann", currency="EUR", limit=500, updated_at=at(1)
    )


def test_a_hold_is_shown_with_its_order() -> None:
    row = after(LIMIT, HELD)

    assert (row.held, row.used, row.available) == (75, 0, 425)
    assert row.orders == {"1": {"held": 75, "owed": 0}}


def test_a_released_hold_is_gone() -> None:
    released = CreditReleased(customer=ANN, order=ORDER, amount=eur(75), held=eur(0), used=eur(0))

    assert after(LIMIT, HELD, released).orders == {}


def test_a_consumed_hold_is_owed() -> None:
    row = after(LIMIT, HELD, CONSUMED)

    assert (row.held, row.used, row.orders) == (0, 75, {"1": {"held": 0, "owed": 75}})


def test_a_debt_that_is_paid_in_part_is_still_open() -> None:
    assert after(LIMIT, HELD, CONSUMED, restored(25, 50)).orders == {"1": {"held": 0, "owed": 50}}


def test_a_debt_that_is_paid_is_closed() -> None:
    row = after(LIMIT, HELD, CONSUMED, restored(25, 50), restored(50, 0))

    assert (row.used, row.orders) == (0, {})


def test_a_debt_that_is_lost_lowers_the_limit() -> None:
    lost = DebtWrittenOff(
        customer=ANN, order=ORDER, amount=eur(50), limit=eur(450), held=eur(0), used=eur(0)
    )

    row = after(LIMIT, HELD, CONSUMED, restored(25, 50), lost)

    assert (row.limit, row.used, row.written_off, row.orders) == (450, 0, 50, {})


def test_the_last_refusal_is_remembered() -> None:
    refused = CreditRefused(customer=ANN, order=OTHER, amount=eur(600), missing=eur(100))

    assert after(LIMIT, refused).last_refusal == {
        "order": "2",
        "amount": 600,
        "missing": 100,
        "currency": "EUR",
        "reason": "1.00 EUR over the credit limit",
        "at": at(2).isoformat(),
    }


def test_somebody_without_a_limit_can_be_refused() -> None:
    refused = CreditRefused(customer=ANN, order=OTHER, amount=eur(600), missing=eur(600))

    row = after(refused)

    assert (row.currency, row.limit, row.available) == ("", 0, 0)


def test_a_hold_without_a_limit_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(HELD)

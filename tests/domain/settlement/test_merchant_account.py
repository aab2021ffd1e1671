from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FeeOutOfRange
from domain.identifiers import ReturnId
from domain.settlement import merchant_account
from domain.settlement.commands import (
    AccruePayable,
    ClawBack,
    CloseMerchantAccount,
    OpenMerchantAccount,
)
from domain.settlement.events import (
    MerchantAccountClosed,
    MerchantAccountOpened,
    PayableAccrued,
    PayableClawedBack,
)
from domain.settlement.merchant_account import REMEMBERED_RETURNS, MerchantAccount
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    NotACurrency,
    NotPositive,
    OutOfOrder,
    UnknownAggregate,
)
from handrail.kernel import Money
from handrail.testing.scenario import Scenario
from tests.controls import a_merchant, an_order_id, eur, usd

account = Scenario(merchant_account, MerchantAccount())
MERCHANT, ORDER, OTHER = a_merchant(), an_order_id(), an_order_id()
RETURN = ReturnId("return-1")


def opening(fee_bps: int = 250, currency: str = "EUR") -> OpenMerchantAccount:
    return OpenMerchantAccount(merchant=MERCHANT, currency=currency, fee_bps=fee_bps)


def accrue(gross: Money) -> AccruePayable:
    return AccruePayable(merchant=MERCHANT, order=ORDER, gross=gross)


def claw_back(gross: Money, name: ReturnId = RETURN) -> ClawBack:
    return ClawBack(merchant=MERCHANT, order=ORDER, return_id=name, gross=gross)


def clawed_back(
    amount: int, *, balance: int, name: ReturnId = RETURN, gross: int | None = None
) -> PayableClawedBack:
    """As it was written before events said what it was sold for, where that is not given."""
    return PayableClawedBack(
        merchant=MERCHANT,
        order=ORDER,
        return_id=name,
        amount=eur(amount),
        balance=eur(balance),
        gross=None if gross is None else eur(gross),
    )


CLOSE, CLOSED = CloseMerchantAccount(merchant=MERCHANT), MerchantAccountClosed(merchant=MERCHANT)
OPENED = MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=250)
OTHERS = PayableAccrued(
    merchant=MERCHANT, order=OTHER, gross=eur(10_00), fee=eur(25), balance=eur(9_75)
)
ACCRUED = PayableAccrued(
    merchant=MERCHANT, order=ORDER, gross=eur(100_00), fee=eur(2_50), balance=eur(107_25)
)
is_open = account.given(OPENED, OTHERS)


def test_an_account_is_opened() -> None:
    account.when(opening()).then(OPENED)


def test_an_account_is_opened_once() -> None:
    account.given(OPENED).when(opening()).then()
    is_open.when(opening()).then()


@pytest.mark.parametrize("other", [opening(fee_bps=251), opening(currency="USD")])
def test_an_open_account_keeps_its_terms(other: OpenMerchantAccount) -> None:
    is_open.when(other).then_refuses_rule(ContentDiffers)


@pytest.mark.parametrize("fee_bps", [-1, 10_001])
def test_a_fee_is_a_part_of_the_whole(fee_bps: int) -> None:
    account.when(opening(fee_bps)).then_refuses_rule(FeeOutOfRange)


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "EU", "E1R", "ÉUR", "EUR\n"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    account.when(opening(currency=currency)).then_refuses_rule(NotACurrency)


def test_a_merchant_is_owed_the_order_less_our_fee() -> None:
    is_open.when(accrue(eur(100_00))).then(ACCRUED)


@pytest.mark.parametrize(
    ("gross", "fee_bps", "fee"),
    [(1, 0, 0), (1, 10_000, 1), (19, 250, 0), (20, 250, 1), (59, 250, 1), (60, 250, 2)],
)
def test_a_fee_is_rounded_to_the_cent(gross: int, fee_bps: int, fee: int) -> None:
    (event,) = account.when(opening(fee_bps)).when(accrue(eur(gross))).decided
    assert isinstance(event, PayableAccrued)
    assert event.fee == eur(fee)
    assert event.balance == eur(gross - fee)


def test_an_order_is_owed_once() -> None:
    is_open.given(ACCRUED).when(accrue(eur(100_00))).then()


def test_the_same_order_cannot_be_worth_something_else() -> None:
    is_open.given(ACCRUED).when(accrue(eur(99_00))).then_refuses_rule(ContentDiffers)


def test_nothing_is_owed_without_an_account() -> None:
    account.when(accrue(eur(100_00))).then_refuses_rule(UnknownAggregate)


def test_an_account_has_one_currency() -> None:
    is_open.when(accrue(usd(100_00))).then_refuses_rule(CurrencyMismatch)


def test_an_order_is_worth_something() -> None:
    is_open.when(accrue(eur(0))).then_refuses_rule(NotPositive)


def test_what_came_back_is_not_owed_and_neither_is_our_fee_on_it() -> None:
    is_open.given(ACCRUED).when(claw_back(eur(40_00))).then(
        clawed_back(39_00, balance=68_25, gross=40_00)
    )


def test_a_return_is_taken_back_once() -> None:
    part = is_open.given(ACCRUED, clawed_back(39_00, balance=68_25))
    part.when(claw_back(eur(40_00))).then()


def test_an_order_comes_back_in_parts() -> None:
    second = ReturnId("return-2")
    part = is_open.given(ACCRUED, clawed_back(39_00, balance=68_25))
    part.when(claw_back(eur(60_00), second)).then(
        clawed_back(58_50, balance=9_75, name=second, gross=60_00)
    )


@given(
    pieces=st.lists(st.integers(1, 100_000), min_size=1, max_size=12),
    fee_bps=st.integers(0, 10_000),
)
def test_however_an_order_comes_back_the_fee_on_the_whole_is_given_back(
    pieces: list[int], fee_bps: int
) -> None:
    coming = account.given(replace(OPENED, fee_bps=fee_bps)).when(accrue(eur(sum(pieces))))
    for number, piece in enumerate(pieces):
        coming = coming.when(claw_back(eur(piece), ReturnId(f"return-{number}")))
    last = (coming.history + coming.decided)[-1]
    assert isinstance(last, PayableClawedBack)
    assert last.balance == eur(0)


def test_a_piece_that_came_back_before_its_price_was_on_record_counts_as_it_was_rounded() -> None:
    old = account.given(OPENED, replace(ACCRUED, balance=eur(97_50)))
    old = old.given(clawed_back(32_50, balance=65_00, name=ReturnId("old")))
    new = old.when(claw_back(eur(33_33), ReturnId("new"))).when(claw_back(eur(33_34)))
    amounts = [
        one.amount for one in new.history + new.decided if isinstance(one, PayableClawedBack)
    ]
    assert amounts == [eur(32_50), eur(32_50), eur(32_50)]


def test_an_order_that_came_back_is_not_owed_again() -> None:
    whole = is_open.given(ACCRUED, clawed_back(97_50, balance=9_75))
    whole.when(accrue(eur(100_00))).then()


def test_more_may_come_back_than_is_owed() -> None:
    is_open.when(claw_back(eur(100_00))).then(clawed_back(97_50, balance=-87_75, gross=100_00))


def test_what_cost_nothing_is_not_taken_back() -> None:
    is_open.when(claw_back(eur(0))).then()


def test_a_return_is_never_of_less_than_nothing() -> None:
    is_open.when(claw_back(eur(-1))).then_refuses_rule(NotPositive)


def test_a_return_is_in_the_currency_of_the_account() -> None:
    is_open.when(claw_back(usd(1_00))).then_refuses_rule(CurrencyMismatch)


def test_nothing_is_taken_back_without_an_account() -> None:
    account.when(claw_back(eur(1_00))).then_refuses_rule(UnknownAggregate)


def test_old_returns_are_forgotten_and_recent_ones_are_not() -> None:
    busy = is_open
    for number in range(REMEMBERED_RETURNS + 1):
        busy = busy.when(claw_back(eur(1_00), ReturnId(f"return-{number}")))
    busy.when(claw_back(eur(1_00), ReturnId("return-1"))).then()
    assert busy.when(claw_back(eur(1_00), ReturnId("return-0"))).decided


def test_a_return_and_an_order_come_to_the_same_in_either_order() -> None:
    is_open.when(claw_back(eur(100_00))).when(accrue(eur(100_00))).then(
        replace(ACCRUED, balance=eur(9_75))
    )
    is_open.when(accrue(eur(100_00))).when(claw_back(eur(100_00))).then(
        clawed_back(97_50, balance=9_75, gross=100_00)
    )


def test_an_account_where_nothing_is_owed_is_closed() -> None:
    account.given(OPENED).when(CLOSE).then(CLOSED)


def test_an_account_is_closed_once() -> None:
    account.when(CLOSE).then()
    account.given(OPENED, CLOSED).when(CLOSE).then()


def test_only_an_account_that_was_opened_for_an_application_is_closed_with_one() -> None:
    with_an_application = replace(CLOSE, onboarding=True)
    account.given(OPENED).when(with_an_application).then()
    opened = account.when(replace(opening(), onboarding=True)).then(
        replace(OPENED, onboarding=True)
    )
    opened.when(with_an_application).then(CLOSED)
    opened.when(opening()).then()


def test_an_account_where_something_is_owed_stays_open() -> None:
    is_open.when(CLOSE).then_refuses_rule(OutOfOrder)
    overdrawn = account.given(OPENED, clawed_back(1_00, balance=-1_00))
    overdrawn.when(CLOSE).then_refuses_rule(OutOfOrder)


def test_a_closed_account_may_be_opened_on_other_terms() -> None:
    closed = account.given(OPENED, CLOSED)
    closed.when(accrue(eur(1_00))).then_refuses_rule(UnknownAggregate)
    closed.when(opening(fee_bps=300)).then(replace(OPENED, fee_bps=300))


def test_of_an_order_and_the_closing_the_first_wins() -> None:
    opened = account.given(OPENED)
    opened.when(CLOSE).when(accrue(eur(1_00))).then_refuses_rule(UnknownAggregate)
    opened.when(accrue(eur(1_00))).when(CLOSE).then_refuses_rule(OutOfOrder)

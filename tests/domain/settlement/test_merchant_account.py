import pytest

from domain.errors import (
    ContentDiffers,
    CurrencyMismatch,
    FeeOutOfRange,
    NotACurrency,
    NotPositive,
    UnknownAggregate,
)
from domain.kernel import Money
from domain.settlement import merchant_account
from domain.settlement.commands import AccruePayable, ClawBack, OpenMerchantAccount
from domain.settlement.events import MerchantAccountOpened, PayableAccrued, PayableClawedBack
from domain.settlement.merchant_account import MerchantAccount
from tests.controls import a_merchant, an_order_id, eur, usd
from tests.scenario import Scenario

account = Scenario(merchant_account, MerchantAccount())
MERCHANT, ORDER, OTHER = a_merchant(), an_order_id(), an_order_id()


def opening(fee_bps: int = 250, currency: str = "EUR") -> OpenMerchantAccount:
    return OpenMerchantAccount(merchant=MERCHANT, currency=currency, fee_bps=fee_bps)


def accrue(gross: Money) -> AccruePayable:
    return AccruePayable(merchant=MERCHANT, order=ORDER, gross=gross)


CLAW_BACK = ClawBack(merchant=MERCHANT, order=ORDER)
OPENED = MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=250)
OTHERS = PayableAccrued(
    merchant=MERCHANT, order=OTHER, gross=eur(10_00), fee=eur(25), balance=eur(9_75)
)
ACCRUED = PayableAccrued(
    merchant=MERCHANT, order=ORDER, gross=eur(100_00), fee=eur(2_50), balance=eur(107_25)
)
CLAWED_BACK = PayableClawedBack(
    merchant=MERCHANT, order=ORDER, amount=eur(97_50), balance=eur(9_75)
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


def test_what_was_owed_is_taken_back() -> None:
    is_open.given(ACCRUED).when(CLAW_BACK).then(CLAWED_BACK)


def test_it_is_taken_back_once() -> None:
    is_open.given(ACCRUED, CLAWED_BACK).when(CLAW_BACK).then()


def test_what_was_never_owed_is_not_taken_back() -> None:
    account.when(CLAW_BACK).then()
    is_open.when(CLAW_BACK).then()


def test_an_order_taken_back_may_be_owed_again() -> None:
    is_open.given(ACCRUED, CLAWED_BACK).when(accrue(eur(100_00))).then(ACCRUED)


def test_a_claw_back_before_the_accrual_does_not_prevent_it() -> None:
    is_open.when(CLAW_BACK).then().when(accrue(eur(100_00))).then(ACCRUED)
    is_open.when(accrue(eur(100_00))).then(ACCRUED).when(CLAW_BACK).then(CLAWED_BACK)

import pytest

from domain.identifiers import PayoutId
from domain.settlement import merchant_account
from domain.settlement.commands import (
    AccruePayable,
    CancelPayout,
    CloseMerchantAccount,
    ConfirmPayout,
    PreparePayout,
)
from domain.settlement.events import (
    MerchantAccountOpened,
    PayableAccrued,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutPrepared,
    PayoutRefused,
)
from domain.settlement.merchant_account import MerchantAccount
from domain.settlement.payouts import REMEMBERED_PAYOUTS
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    NotPositive,
    OutOfOrder,
    UnknownAggregate,
)
from handrail.kernel import Money
from handrail.testing.scenario import Scenario
from tests.controls import a_merchant, an_order_id, eur, usd

account = Scenario(merchant_account, MerchantAccount())
MERCHANT, ORDER = a_merchant(), an_order_id()
PAYOUT, OTHER = PayoutId("payout-1"), PayoutId("payout-2")


def prepare(amount: Money, name: PayoutId = PAYOUT) -> PreparePayout:
    return PreparePayout(merchant=MERCHANT, payout=name, amount=amount)


def prepared(amount: int, *, balance: int, name: PayoutId = PAYOUT) -> PayoutPrepared:
    return PayoutPrepared(merchant=MERCHANT, payout=name, amount=eur(amount), balance=eur(balance))


def refused(amount: int, *, balance: int) -> PayoutRefused:
    return PayoutRefused(merchant=MERCHANT, payout=PAYOUT, amount=eur(amount), balance=eur(balance))


def accrue(gross: int) -> AccruePayable:
    return AccruePayable(merchant=MERCHANT, order=ORDER, gross=eur(gross))


CANCEL = CancelPayout(merchant=MERCHANT, payout=PAYOUT)
CONFIRM = ConfirmPayout(merchant=MERCHANT, payout=PAYOUT)
OPENED = MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=0)
ACCRUED = PayableAccrued(merchant=MERCHANT, order=ORDER, gross=eur(90), fee=eur(0), balance=eur(90))
CANCELLED = PayoutCancelled(merchant=MERCHANT, payout=PAYOUT, amount=eur(90), balance=eur(90))
CONFIRMED = PayoutConfirmed(merchant=MERCHANT, payout=PAYOUT, amount=eur(90))
owed = account.given(OPENED, ACCRUED)
on_its_way = owed.given(prepared(90, balance=0))
arrived = on_its_way.given(CONFIRMED)


def test_what_is_owed_is_sent() -> None:
    owed.when(prepare(eur(90))).then(prepared(90, balance=0))


def test_a_part_may_be_sent() -> None:
    owed.when(prepare(eur(40))).then(prepared(40, balance=50))


def test_more_than_is_owed_is_not_sent() -> None:
    owed.when(prepare(eur(91))).then(refused(91, balance=90))
    on_its_way.when(prepare(eur(1), OTHER)).then(
        PayoutRefused(merchant=MERCHANT, payout=OTHER, amount=eur(1), balance=eur(0))
    )
    assert refused(91, balance=90).reason == "only 0.90 EUR of 0.91 EUR is owed"


def test_a_payout_is_sent_once() -> None:
    on_its_way.when(prepare(eur(90))).then()
    arrived.when(prepare(eur(90))).then()


def test_the_same_id_cannot_mean_another_payout() -> None:
    on_its_way.when(prepare(eur(89))).then_refuses_rule(ContentDiffers)


def test_a_payout_is_of_something() -> None:
    owed.when(prepare(eur(0))).then_refuses_rule(NotPositive)


def test_a_payout_is_in_the_currency_of_the_account() -> None:
    owed.when(prepare(usd(1))).then_refuses_rule(CurrencyMismatch)


def test_nothing_is_sent_without_an_account() -> None:
    account.when(prepare(eur(1))).then_refuses_rule(UnknownAggregate)


def test_an_order_on_its_way_to_the_merchant_is_not_owed_again() -> None:
    on_its_way.when(accrue(90)).then()
    on_its_way.when(accrue(89)).then_refuses_rule(ContentDiffers)


def test_a_cancelled_payout_is_owed_again() -> None:
    back = on_its_way.when(CANCEL).then(CANCELLED)
    back.when(accrue(90)).then()
    back.when(prepare(eur(90))).then(prepared(90, balance=0))


def test_a_payout_is_cancelled_once() -> None:
    on_its_way.given(CANCELLED).when(CANCEL).then()


def test_nothing_is_left_to_cancel_where_nothing_is_on_its_way() -> None:
    account.when(CANCEL).then()
    owed.when(CANCEL).then()


def test_a_payout_arrives() -> None:
    on_its_way.when(CONFIRM).then(CONFIRMED)


def test_a_payout_arrives_once() -> None:
    arrived.when(CONFIRM).then()


def test_what_is_not_on_its_way_does_not_arrive() -> None:
    owed.when(CONFIRM).then_refuses_rule(OutOfOrder)


def test_old_payouts_are_forgotten_and_recent_ones_are_not() -> None:
    busy = account.given(OPENED, ACCRUED)
    for number in range(REMEMBERED_PAYOUTS + 1):
        name = PayoutId(f"payout-{number}")
        busy = busy.when(prepare(eur(1), name)).when(ConfirmPayout(merchant=MERCHANT, payout=name))
    busy.when(prepare(eur(1), PayoutId("payout-1"))).then()
    assert busy.when(prepare(eur(1), PayoutId("payout-0"))).decided


@pytest.mark.parametrize("closed", [on_its_way, owed])
def test_an_account_with_money_on_its_way_is_not_closed(closed: Scenario) -> None:
    closed.when(CloseMerchantAccount(merchant=MERCHANT)).then_refuses_rule(OutOfOrder)


def test_an_account_is_closed_once_all_arrived() -> None:
    assert arrived.when(CloseMerchantAccount(merchant=MERCHANT)).decided


def test_of_cancel_and_confirm_the_first_wins() -> None:
    on_its_way.when(CANCEL).then(CANCELLED).when(CONFIRM).then_refuses_rule(OutOfOrder)
    on_its_way.when(CONFIRM).then(CONFIRMED).when(CANCEL).then_refuses_rule(OutOfOrder)


def test_of_two_payouts_of_the_last_money_the_first_wins() -> None:
    owed.when(prepare(eur(60), OTHER)).when(prepare(eur(60))).then(refused(60, balance=30))

from __future__ import annotations

import pytest

from domain.identifiers import MerchantId, PayoutId
from domain.payments import transfer
from domain.payments.commands import TransferPayout
from domain.payments.events import PayoutTransferred, TransferDeclined
from domain.payments.transfer import Transfer
from handrail.errors import ContentDiffers, NotPositive, OutsideAnswerMissing
from handrail.replies import Accepted, Declined, Reply
from handrail.testing.scenario import Scenario
from tests.controls import eur

transferring = Scenario(transfer, Transfer())
PAYOUT, BOB = PayoutId("bob-2026-04-02"), MerchantId("bob")
YES, NO = Accepted(reference="bank-1"), Declined(code="account_closed")


def pay_out(reply: Reply | None, amount: int = 97, merchant: str = BOB) -> TransferPayout:
    return TransferPayout(
        payout=PAYOUT, merchant=MerchantId(merchant), amount=eur(amount), reply=reply
    )


TRANSFERRED = PayoutTransferred(payout=PAYOUT, merchant=BOB, amount=eur(97), transfer="bank-1")
DECLINED = TransferDeclined(payout=PAYOUT, merchant=BOB, amount=eur(97), code="account_closed")


@pytest.mark.parametrize("history", [(), (DECLINED,)])
def test_the_bank_transfers_a_payout(history: tuple[TransferDeclined, ...]) -> None:
    transferring.given(*history).when(pay_out(YES)).then(TRANSFERRED)


def test_a_closed_account_gets_nothing() -> None:
    transferring.when(pay_out(NO)).then(DECLINED)


def test_a_payout_is_transferred_once_and_the_bank_need_not_be_asked() -> None:
    for reply in (YES, NO, None):
        transferring.given(TRANSFERRED).when(pay_out(reply)).then()


@pytest.mark.parametrize("other", [pay_out(None, amount=98), pay_out(None, merchant="eve")])
def test_the_same_payout_has_one_amount_and_one_merchant(other: TransferPayout) -> None:
    transferring.given(TRANSFERRED).when(other).then_refuses_rule(ContentDiffers)


def test_nothing_is_not_transferred_and_silence_is_no_answer() -> None:
    transferring.when(pay_out(YES, amount=0)).then_refuses_rule(NotPositive)
    transferring.when(pay_out(None)).then_refuses_rule(OutsideAnswerMissing)

from dataclasses import replace

import pytest

from domain.payments import payment
from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    RecordDispute,
    VoidPayment,
)
from domain.payments.events import (
    CaptureDeclined,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
)
from domain.payments.payment import Payment
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    NotPositive,
    OutOfOrder,
    OutsideAnswerMissing,
)
from handrail.kernel import Event, Money
from handrail.replies import Accepted, Declined, Reply
from handrail.testing.scenario import Scenario
from tests.controls import an_order_id, eur, usd

paying = Scenario(payment, Payment())
ORDER = an_order_id()
YES, NO = Accepted(reference="bank-1"), Declined(code="no-funds")


def authorise(reply: Reply | None, amount: Money = eur(25)) -> AuthoriseDownPayment:  # noqa: B008
    return AuthoriseDownPayment(order=ORDER, amount=amount, card="card-1", reply=reply)


def void(reply: Reply | None) -> VoidPayment:
    return VoidPayment(order=ORDER, reply=reply)


def capture(reply: Reply | None, amount: Money = eur(25)) -> CapturePayment:  # noqa: B008
    return CapturePayment(order=ORDER, amount=amount, reply=reply)


AUTHORISED = PaymentAuthorised(order=ORDER, amount=eur(25), authorisation="bank-1")
DECLINED = PaymentDeclined(order=ORDER, amount=eur(25), code="no-funds")
VOIDED = PaymentVoided(order=ORDER, amount=eur(25))
CAPTURED = PaymentCaptured(order=ORDER, amount=eur(25), capture="bank-1")
NOT_CAPTURED = CaptureDeclined(order=ORDER, amount=eur(25), code="no-funds")
REFUNDED = PaymentRefunded(order=ORDER, amount=eur(25))

NOTHING_HELD: list[tuple[Event, ...]] = [
    (),
    (DECLINED,),
    (AUTHORISED, VOIDED),
    (AUTHORISED, CAPTURED, REFUNDED),
]


@pytest.mark.parametrize("history", NOTHING_HELD)
def test_the_bank_holds_the_down_payment(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(authorise(YES)).then(AUTHORISED)


@pytest.mark.parametrize("history", NOTHING_HELD)
def test_a_card_without_money_is_refused(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(authorise(NO)).then(DECLINED)


@pytest.mark.parametrize("history", [(AUTHORISED,), (AUTHORISED, CAPTURED)])
def test_a_payment_is_authorised_once_and_the_bank_need_not_be_asked(
    history: tuple[Event, ...],
) -> None:
    for reply in (YES, NO, None):
        paying.given(*history).when(authorise(reply)).then()
    other = authorise(YES, eur(26))
    paying.given(*history).when(other).then_refuses_rule(ContentDiffers)


def test_nothing_is_not_a_payment() -> None:
    paying.when(authorise(None, eur(0))).then_refuses_rule(NotPositive)


def test_silence_of_the_bank_is_no_answer() -> None:
    paying.when(authorise(None)).then_refuses_rule(OutsideAnswerMissing)
    paying.given(AUTHORISED).when(capture(None)).then_refuses_rule(OutsideAnswerMissing)


def test_authorised_money_is_let_go() -> None:
    paying.given(AUTHORISED).when(void(YES)).then(VOIDED)
    paying.given(AUTHORISED, NOT_CAPTURED).when(void(YES)).then(VOIDED)


def test_captured_money_goes_back() -> None:
    paying.given(AUTHORISED, CAPTURED).when(void(YES)).then(REFUNDED)


@pytest.mark.parametrize("history", NOTHING_HELD)
def test_where_nothing_is_held_nothing_is_voided(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(void(YES)).then()


@pytest.mark.parametrize("history", [*NOTHING_HELD, (AUTHORISED,), (AUTHORISED, CAPTURED)])
def test_only_the_banks_yes_proves_that_it_holds_nothing(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(void(None)).then_refuses_rule(OutsideAnswerMissing)
    paying.given(*history).when(void(NO)).then_refuses_rule(OutOfOrder)


def test_authorised_money_is_taken() -> None:
    paying.given(AUTHORISED).when(capture(YES)).then(CAPTURED)


def test_a_declined_capture_leaves_the_authorisation() -> None:
    declined = paying.given(AUTHORISED).when(capture(NO)).then(NOT_CAPTURED)
    declined.when(capture(YES)).then(CAPTURED)


def test_money_is_taken_once_and_the_bank_need_not_be_asked() -> None:
    for reply in (YES, NO, None):
        paying.given(AUTHORISED, CAPTURED).when(capture(reply)).then()


def test_what_was_authorised_is_what_is_taken() -> None:
    for history in [(AUTHORISED,), (AUTHORISED, CAPTURED)]:
        other = capture(None, eur(24))
        paying.given(*history).when(other).then_refuses_rule(ContentDiffers)


@pytest.mark.parametrize("history", NOTHING_HELD)
def test_what_is_not_held_is_not_taken(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(capture(YES)).then_refuses_rule(OutOfOrder)


def test_of_void_and_capture_the_first_wins() -> None:
    held = paying.given(AUTHORISED)
    held.when(void(YES)).then(VOIDED).when(capture(YES)).then_refuses_rule(OutOfOrder)
    held.when(capture(YES)).then(CAPTURED).when(void(YES)).then(REFUNDED)


def dispute(amount: Money = eur(25), name: str = "d1") -> RecordDispute:  # noqa: B008
    return RecordDispute(order=ORDER, dispute=name, amount=amount)


DISPUTED = PaymentDisputed(order=ORDER, dispute="d1", amount=eur(25))


def test_a_dispute_is_recorded_once() -> None:
    told = paying.given(AUTHORISED, CAPTURED).when(dispute()).then(DISPUTED)
    told.when(dispute()).then()
    told.when(dispute(eur(24))).then_refuses_rule(ContentDiffers)
    other = PaymentDisputed(order=ORDER, dispute="d2", amount=eur(25))
    told.when(dispute(name="d2")).then(other)


def test_no_more_is_disputed_than_was_taken() -> None:
    taken = paying.given(AUTHORISED, CAPTURED)
    taken.when(dispute(eur(26))).then_refuses_rule(OutOfOrder)
    taken.when(dispute(usd(25))).then_refuses_rule(CurrencyMismatch)
    with_instalments = replace(dispute(eur(35)), instalments=eur(10))
    taken.when(with_instalments).then(replace(DISPUTED, amount=eur(35)))
    taken.when(replace(with_instalments, amount=eur(36))).then_refuses_rule(OutOfOrder)


def test_a_dispute_is_known_also_after_the_refund() -> None:
    paying.given(AUTHORISED, CAPTURED, DISPUTED, REFUNDED).when(dispute()).then()


@pytest.mark.parametrize("history", [*NOTHING_HELD, (AUTHORISED,)])
def test_what_was_not_taken_is_not_disputed(history: tuple[Event, ...]) -> None:
    paying.given(*history).when(dispute()).then_refuses_rule(OutOfOrder)


def test_a_dispute_is_about_something() -> None:
    paying.given(AUTHORISED, CAPTURED).when(dispute(eur(0))).then_refuses_rule(NotPositive)

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import DownPaymentDiffers, NoLines, TotalDiffers
from domain.ordering import order
from domain.ordering.commands import (
    CloseReview,
    CompleteOrder,
    ConfirmOrder,
    PlaceOrder,
    RejectOrder,
    RequestReview,
)
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    ReviewClosed,
    ReviewRequested,
)
from domain.ordering.order import Order
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    DomainError,
    NotPositive,
    OutOfOrder,
    UnknownAggregate,
)
from handrail.testing.scenario import Scenario
from tests.controls import NOON, a_line, an_order, an_order_id, eur, usd

ordering = Scenario(order, Order())
ID = an_order_id()
PLACE = an_order(order=ID)
PLACED = OrderPlaced(
    order=ID,
    customer=PLACE.customer,
    merchant=PLACE.merchant,
    lines=PLACE.lines,
    total=eur(100_00),
    down_payment=eur(25_00),
    instalments=3,
    placed_at=NOON,
)
REJECTED, CONFIRMED = OrderRejected(order=ID), OrderConfirmed(order=ID)
REJECT, CONFIRM = RejectOrder(order=ID), ConfirmOrder(order=ID)
COMPLETE = CompleteOrder(order=ID, completed_at=NOON)
COMPLETED = OrderCompleted(order=ID, completed_at=NOON)
REVIEW, CLOSE = RequestReview(order=ID, total=eur(100_00)), CloseReview(order=ID)
IN_REVIEW, REVIEWED = ReviewRequested(order=ID, total=eur(100_00)), ReviewClosed(order=ID)


def test_a_placed_order_keeps_all_that_was_agreed() -> None:
    ordering.when(PLACE).then(PLACED)


def test_an_order_placed_again_is_still_one_order() -> None:
    ordering.given(PLACED).when(PLACE).then()
    ordering.given(PLACED, CONFIRMED).when(PLACE).then()


def test_the_same_id_cannot_mean_another_order() -> None:
    other = an_order(order=ID, lines=(a_line(quantity=3),))
    ordering.given(PLACED).when(other).then_refuses_rule(ContentDiffers)
    ordering.given(PLACED, CONFIRMED).when(other).then_refuses_rule(ContentDiffers)


def test_a_rejected_order_may_be_placed_again() -> None:
    ordering.given(PLACED, REJECTED).when(PLACE).then(PLACED)
    other = an_order(order=ID, lines=(a_line(quantity=3),))
    (again,) = ordering.given(PLACED, REJECTED).when(other).decided
    assert isinstance(again, OrderPlaced)
    assert again.total == eur(150_00)


def test_a_gift_may_lie_in_the_parcel() -> None:
    (event,) = ordering.when(an_order(lines=(a_line(), a_line(price=0)))).decided
    assert isinstance(event, OrderPlaced)
    assert event.total == eur(100_00)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (replace(PLACE, lines=()), NoLines),
        (replace(PLACE, lines=(a_line(quantity=0),)), NotPositive),
        (replace(PLACE, lines=(*PLACE.lines, a_line(quantity=-1))), NotPositive),
        (replace(PLACE, lines=(*PLACE.lines, a_line(price=-1))), NotPositive),
        (replace(PLACE, total=eur(99_99)), TotalDiffers),
        (replace(PLACE, total=usd(100_00)), CurrencyMismatch),
        (replace(PLACE, lines=(replace(a_line(), unit_price=usd(50_00)),)), CurrencyMismatch),
        (replace(PLACE, down_payment=eur(24_99)), DownPaymentDiffers),
        (replace(PLACE, down_payment=usd(25_00)), DownPaymentDiffers),
        (replace(PLACE, instalments=4), DownPaymentDiffers),
        (replace(PLACE, instalments=0), NotPositive),
        (replace(PLACE, lines=(a_line(price=0),), total=eur(0)), NotPositive),
    ],
)
def test_an_order_that_does_not_add_up_is_no_order(
    wrong: PlaceOrder, rule: type[DomainError]
) -> None:
    ordering.when(wrong).then_refuses_rule(rule)


def test_a_placed_order_can_be_rejected() -> None:
    ordering.given(PLACED).when(REJECT).then(REJECTED)


def test_nothing_is_left_to_reject_when_nothing_stands() -> None:
    ordering.when(REJECT).then()
    ordering.given(PLACED, REJECTED).when(REJECT).then()


def test_a_confirmed_order_is_not_rejected() -> None:
    ordering.given(PLACED, CONFIRMED).when(REJECT).then_refuses_rule(OutOfOrder)


def test_a_placed_order_can_be_confirmed() -> None:
    ordering.given(PLACED).when(CONFIRM).then(CONFIRMED)


def test_an_order_is_confirmed_once() -> None:
    ordering.given(PLACED, CONFIRMED).when(CONFIRM).then()


def test_an_order_that_does_not_stand_is_not_confirmed() -> None:
    ordering.when(CONFIRM).then_refuses_rule(UnknownAggregate)
    ordering.given(PLACED, REJECTED).when(CONFIRM).then_refuses_rule(OutOfOrder)


def test_of_reject_and_confirm_the_first_wins() -> None:
    placed = ordering.given(PLACED)
    placed.when(REJECT).then(REJECTED).when(CONFIRM).then_refuses_rule(OutOfOrder)
    placed.when(CONFIRM).then(CONFIRMED).when(REJECT).then_refuses_rule(OutOfOrder)


def test_an_order_that_was_delivered_is_completed() -> None:
    ordering.given(PLACED, CONFIRMED).when(COMPLETE).then(COMPLETED)


def test_an_order_is_completed_once() -> None:
    done = ordering.given(PLACED, CONFIRMED, COMPLETED)
    done.when(replace(COMPLETE, completed_at=NOON + timedelta(days=1))).then()


def test_only_a_confirmed_order_is_completed() -> None:
    ordering.when(COMPLETE).then_refuses_rule(UnknownAggregate)
    ordering.given(PLACED).when(COMPLETE).then_refuses_rule(OutOfOrder)
    ordering.given(PLACED, REJECTED).when(COMPLETE).then_refuses_rule(OutOfOrder)


def test_a_completed_order_still_stands() -> None:
    done = ordering.given(PLACED, CONFIRMED, COMPLETED)
    done.when(PLACE).then()
    done.when(CONFIRM).then()
    done.when(REJECT).then_refuses_rule(OutOfOrder)


def test_a_person_is_asked_to_look_at_an_order_and_it_stands_as_before() -> None:
    asked = ordering.given(PLACED).when(REVIEW).then(IN_REVIEW)
    asked.when(CONFIRM).then(CONFIRMED)
    asked.when(REJECT).then(REJECTED)


def test_a_review_is_asked_for_once_until_it_is_closed() -> None:
    ordering.given(PLACED, IN_REVIEW).when(REVIEW).then()
    ordering.given(PLACED, IN_REVIEW, REVIEWED).when(REVIEW).then(IN_REVIEW)


def test_what_is_reviewed_was_placed_for_that_total() -> None:
    ordering.when(REVIEW).then_refuses_rule(UnknownAggregate)
    other = RequestReview(order=ID, total=eur(99_00))
    ordering.given(PLACED).when(other).then_refuses_rule(TotalDiffers)


def test_a_review_is_closed() -> None:
    ordering.given(PLACED, IN_REVIEW).when(CLOSE).then(REVIEWED)


def test_a_review_that_is_not_open_need_not_be_closed() -> None:
    ordering.when(CLOSE).then()
    ordering.given(PLACED).when(CLOSE).then()
    ordering.given(PLACED, IN_REVIEW, REVIEWED).when(CLOSE).then()
    ordering.given(PLACED, IN_REVIEW, REJECTED).when(CLOSE).then()


def test_a_review_closed_before_it_was_asked_for_is_asked_for_all_the_same() -> None:
    ordering.given(PLACED).when(CLOSE).then().when(REVIEW).then(IN_REVIEW)

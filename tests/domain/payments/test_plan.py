from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import reduce
from typing import Any

import pytest

from domain.identifiers import CustomerId, ReturnId
from domain.payments import plan
from domain.payments.commands import (
    AdjustPlan,
    ChargeLateFee,
    CollectInstalment,
    OpenPlan,
    RefundPayment,
    Reschedule,
    RevertAdjustment,
    SettleEarly,
    WriteOffPlan,
)
from domain.payments.due_dates import months_after
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    LateFeeCharged,
    PlanAdjusted,
    PlanMovedOn,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    Reduction,
    RefundDeclined,
    RefundPaid,
    SettlementDeclined,
)
from domain.payments.plan import InstalmentPlan
from handrail.errors import (
    ContentDiffers,
    CurrencyMismatch,
    NotPositive,
    OutOfOrder,
    OutsideAnswerMissing,
    UnknownAggregate,
)
from handrail.kernel import Command, Event, Money
from handrail.replies import Accepted, Declined, Reply
from handrail.testing.scenario import Scenario
from tests.controls import an_order_id, eur, usd

paying = Scenario(plan, InstalmentPlan())
ORDER, ANN, BACK, MORE = an_order_id(), CustomerId("ann"), ReturnId("r1"), ReturnId("r2")
YES, NO = Accepted(reference="bank-1"), Declined(code="no-funds")
FIRST, SECOND, THIRD = date(2026, 4, 2), date(2026, 5, 2), date(2026, 6, 2)


def open_plan(financed: Money = eur(90), instalments: int = 3) -> OpenPlan:  # noqa: B008
    return OpenPlan(
        order=ORDER,
        customer=ANN,
        financed=financed,
        instalments=instalments,
        card="card-1",
        first_due=FIRST,
    )


def opened(*instalments: tuple[int, date, int]) -> PlanOpened:
    return PlanOpened(order=ORDER, customer=ANN, card="card-1", instalments=planned(*instalments))


def planned(*instalments: tuple[int, date, int]) -> tuple[PlannedInstalment, ...]:
    return tuple(
        PlannedInstalment(number=number, due=due, amount=eur(cents))
        for number, due, cents in instalments
    )


def collect(
    number: int,
    amount: Money = eur(30),  # noqa: B008
    reply: Reply | None = YES,
) -> CollectInstalment:
    return CollectInstalment(order=ORDER, number=number, amount=amount, card="card-1", reply=reply)


def collected(number: int, principal: int = 30, fees: int = 0) -> InstalmentCollected:
    return InstalmentCollected(
        order=ORDER, number=number, principal=eur(principal), fees=eur(fees), charge="bank-1"
    )


def fee(number: int, reminder: int = 1, amount: Money = eur(5)) -> ChargeLateFee:  # noqa: B008
    return ChargeLateFee(order=ORDER, number=number, fee=amount, reminder=reminder)


def charged(number: int, reminder: int = 1) -> LateFeeCharged:
    return LateFeeCharged(order=ORDER, number=number, fee=eur(5), reminder=reminder)


def reschedule(number: int, due: date) -> Reschedule:
    return Reschedule(order=ORDER, number=number, due=due)


def settle(amount: int, reply: Reply | None = YES) -> SettleEarly:
    return SettleEarly(order=ORDER, amount=eur(amount), card="card-1", reply=reply)


def settled(principal: int, fees: int = 0) -> PlanSettled:
    return PlanSettled(order=ORDER, principal=eur(principal), fees=eur(fees), charge="bank-1")


def adjust(value: int, absorbed: int, return_id: ReturnId = BACK) -> AdjustPlan:
    return AdjustPlan(order=ORDER, return_id=return_id, value=eur(value), absorbed=eur(absorbed))


def adjusted(value: int, *reductions: tuple[int, int], return_id: ReturnId = BACK) -> PlanAdjusted:
    absorbed = sum(cents for _, cents in reductions)
    return PlanAdjusted(
        order=ORDER,
        return_id=return_id,
        value=eur(value),
        absorbed=eur(absorbed),
        refund=eur(value - absorbed),
        reductions=tuple(Reduction(number=n, amount=eur(cents)) for n, cents in reductions),
    )


def moved_on(outstanding: int) -> PlanMovedOn:
    return PlanMovedOn(order=ORDER, return_id=BACK, outstanding=eur(outstanding))


def reverted(*instalments: tuple[int, date, int]) -> AdjustmentReverted:
    return AdjustmentReverted(order=ORDER, return_id=BACK, instalments=planned(*instalments))


def refund(amount: int, reply: Reply | None = YES) -> RefundPayment:
    return RefundPayment(order=ORDER, return_id=BACK, amount=eur(amount), reply=reply)


def refunded(amount: int, reference: str = "bank-1") -> RefundPaid:
    return RefundPaid(order=ORDER, return_id=BACK, amount=eur(amount), refund=reference)


REVERT = RevertAdjustment(order=ORDER, return_id=BACK)
WRITE_OFF = WriteOffPlan(order=ORDER)
OPENED = opened((1, FIRST, 30), (2, SECOND, 30), (3, THIRD, 30))
WRITTEN_OFF = PlanWrittenOff(order=ORDER, principal=eur(90), fees=eur(0))
PAID: tuple[Event, ...] = (OPENED, collected(1), collected(2), collected(3))


def after(*events: Any) -> InstalmentPlan:
    return reduce(plan.evolve, events, InstalmentPlan())


def test_a_plan_is_equal_shares_a_month_apart() -> None:
    paying.when(open_plan()).then(OPENED)


def test_the_cents_that_do_not_divide_go_to_the_first() -> None:
    shares = opened((1, FIRST, 32), (2, SECOND, 30), (3, THIRD, 30))
    paying.when(open_plan(eur(92))).then(shares)


@pytest.mark.parametrize(
    ("months", "due"),
    [
        (0, date(2026, 1, 31)),
        (1, date(2026, 2, 28)),
        (2, date(2026, 3, 31)),
        (11, date(2026, 12, 31)),
        (12, date(2027, 1, 31)),
        (25, date(2028, 2, 29)),
    ],
)
def test_a_month_that_is_too_short_has_its_last_day(months: int, due: date) -> None:
    assert months_after(date(2026, 1, 31), months) == due


@pytest.mark.parametrize(
    ("first", "day", "dues"),
    [
        (date(2026, 1, 31), 0, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        (date(2026, 2, 28), 31, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        (date(2028, 2, 29), 30, ["2028-02-29", "2028-03-30", "2028-04-30", "2028-05-30"]),
        (date(2026, 2, 28), 0, ["2026-02-28", "2026-03-28", "2026-04-28", "2026-05-28"]),
    ],
)
def test_a_short_month_does_not_move_the_months_that_follow(
    first: date, day: int, dues: list[str]
) -> None:
    asked = replace(open_plan(eur(4), 4), first_due=first, day=day)
    [event] = paying.when(asked).decided
    assert isinstance(event, PlanOpened)
    assert [one.due.isoformat() for one in event.instalments] == dues


def test_a_plan_that_was_opened_before_its_day_was_known_keeps_its_dates() -> None:
    asked = replace(open_plan(eur(2), 2), first_due=date(2026, 2, 28))
    old = opened((1, date(2026, 2, 28), 1), (2, date(2026, 3, 28), 1))
    paying.given(old).when(replace(asked, day=31)).then()
    paying.given(old).when(replace(asked, day=31, instalments=1)).then_refuses_rule(ContentDiffers)


def test_what_comes_back_after_the_last_due_date_is_due_on_the_same_day_of_the_month() -> None:
    old = opened((1, date(2026, 1, 31), 30), (2, date(2026, 2, 28), 30))
    reduced = adjusted(30, (2, 30))
    later = paying.given(old, reduced, collected(1), reverted((2, date(2026, 2, 28), 30)))
    again = later.given(replace(reduced, return_id=ReturnId("other")), collected(2))
    asked = RevertAdjustment(order=ORDER, return_id=ReturnId("other"))
    [event] = again.when(asked).decided
    assert isinstance(event, AdjustmentReverted)
    assert [(one.number, one.due) for one in event.instalments] == [(3, date(2026, 3, 31))]


@pytest.mark.parametrize(
    "asked", [open_plan(eur(0)), open_plan(instalments=0), open_plan(eur(2), instalments=3)]
)
def test_every_instalment_is_worth_something(asked: OpenPlan) -> None:
    paying.when(asked).then_refuses_rule(NotPositive)


def test_a_plan_is_opened_once_whatever_happened_since() -> None:
    moved = InstalmentRescheduled(order=ORDER, number=3, due=date(2026, 7, 1))
    for history in [(OPENED,), (OPENED, collected(1), moved), PAID]:
        paying.given(*history).when(open_plan()).then()
        paying.given(*history).when(open_plan(eur(93))).then_refuses_rule(ContentDiffers)


@pytest.mark.parametrize(
    "asked",
    [collect(1), fee(1), reschedule(1, SECOND), settle(90), WRITE_OFF, adjust(9, 9), REVERT],
)
def test_nothing_happens_to_a_plan_that_was_not_opened(asked: Command) -> None:
    paying.when(asked).then_refuses_rule(UnknownAggregate)


def test_an_instalment_is_collected_with_its_fees() -> None:
    paying.given(OPENED).when(collect(1)).then(collected(1))
    paying.given(OPENED, charged(1)).when(collect(1, eur(35))).then(collected(1, fees=5))


def test_a_bank_that_declines_leaves_the_instalment_due() -> None:
    missed = InstalmentMissed(order=ORDER, number=1, amount=eur(30), code="no-funds")
    declined = paying.given(OPENED).when(collect(1, reply=NO)).then(missed)
    declined.when(collect(1)).then(collected(1))


@pytest.mark.parametrize("amount", [eur(29), eur(30), usd(35)])
def test_another_amount_is_found_out_before_the_bank_is_asked(amount: Money) -> None:
    wrong = collect(1, amount, reply=None)
    paying.given(OPENED, charged(1)).when(wrong).then_refuses_rule(ContentDiffers)


@pytest.mark.parametrize(
    "history",
    [
        PAID,
        (OPENED, settled(90)),
        (OPENED, adjusted(90, (3, 30), (2, 30), (1, 30))),
        (OPENED, WRITTEN_OFF),
    ],
)
def test_what_is_no_longer_due_is_not_collected(history: tuple[Event, ...]) -> None:
    for reply in (YES, NO, None):
        paying.given(*history).when(collect(1, reply=reply)).then()
        paying.given(*history).when(settle(90, reply=reply)).then()
    paying.given(*history).when(fee(1)).then()
    paying.given(*history).when(reschedule(1, SECOND)).then_refuses_rule(OutOfOrder)


def test_silence_of_the_bank_is_no_answer() -> None:
    for asked in (collect(1, reply=None), settle(90, reply=None)):
        paying.given(OPENED).when(asked).then_refuses_rule(OutsideAnswerMissing)
    owed = paying.given(*PAID, adjusted(10))
    owed.when(refund(10, reply=None)).then_refuses_rule(OutsideAnswerMissing)


def test_there_is_no_fourth_of_three_instalments() -> None:
    for asked in (collect(4), fee(4), reschedule(4, THIRD)):
        paying.given(OPENED).when(asked).then_refuses_rule(UnknownAggregate)


def test_each_reminder_costs_one_fee() -> None:
    first = paying.given(OPENED).when(fee(1)).then(charged(1))
    first.when(fee(1)).then()
    first.when(fee(1, reminder=2)).then(charged(1, reminder=2))
    assert after(OPENED, charged(1), charged(1, 2)).fees_due == eur(10)


def test_a_fee_is_an_amount_in_the_plans_currency() -> None:
    paying.given(OPENED).when(fee(1, amount=eur(0))).then_refuses_rule(NotPositive)
    paying.given(OPENED).when(fee(1, amount=usd(5))).then_refuses_rule(CurrencyMismatch)


def test_one_instalment_moves_and_no_other() -> None:
    later = date(2026, 5, 20)
    moved = InstalmentRescheduled(order=ORDER, number=2, due=later)
    paying.given(OPENED).when(reschedule(2, later)).then(moved).when(reschedule(2, later)).then()
    assert [one.due for one in after(OPENED, moved).instalments] == [FIRST, later, THIRD]


def test_an_instalment_does_not_move_before_the_one_before() -> None:
    paying.given(OPENED).when(reschedule(2, date(2026, 4, 1))).then_refuses_rule(OutOfOrder)
    moved = InstalmentRescheduled(order=ORDER, number=2, due=FIRST)
    paying.given(OPENED).when(reschedule(2, FIRST)).then(moved)


def test_all_that_is_outstanding_is_paid_at_once() -> None:
    history = (OPENED, collected(1), charged(2))
    paying.given(*history).when(settle(65)).then(settled(60, 5))
    declined = SettlementDeclined(order=ORDER, amount=eur(65), code="no-funds")
    paying.given(*history).when(settle(65, NO)).then(declined)
    paying.given(*history).when(settle(60, None)).then_refuses_rule(ContentDiffers)


def test_what_is_still_due_is_given_up() -> None:
    given_up = PlanWrittenOff(order=ORDER, principal=eur(60), fees=eur(5))
    paying.given(OPENED, collected(1), charged(2)).when(WRITE_OFF).then(given_up)
    paying.given(*PAID).when(WRITE_OFF).then()


def test_nothing_is_given_up_while_a_return_is_being_decided() -> None:
    doubtful = paying.given(OPENED, adjusted(40, (3, 30), (2, 10)))
    doubtful.when(WRITE_OFF).then_refuses_rule(OutOfOrder)
    given_up = PlanWrittenOff(order=ORDER, principal=eur(50), fees=eur(0))
    doubtful.given(refunded(0, "")).when(WRITE_OFF).then(given_up)
    assert after(OPENED, WRITTEN_OFF).status == "written_off"


def test_a_return_absorbs_from_the_last_instalment_backwards() -> None:
    less = adjusted(40, (3, 30), (2, 10))
    paying.given(OPENED).when(adjust(40, 40)).then(less)
    state = after(OPENED, less)
    assert [(one.amount, one.status) for one in state.instalments] == [
        (eur(30), "due"),
        (eur(20), "due"),
        (eur(0), "cancelled"),
    ]


def test_what_a_return_is_worth_beyond_the_debt_is_refunded() -> None:
    paying.given(OPENED, collected(1), collected(2)).when(adjust(40, 30)).then(
        adjusted(40, (3, 30))
    )
    paying.given(*PAID).when(adjust(40, 0)).then(adjusted(40))


@pytest.mark.parametrize("absorbed", [39, 41, 30])
def test_a_return_that_was_quoted_before_a_payment_has_to_ask_again(absorbed: int) -> None:
    paying.given(OPENED).when(adjust(40, absorbed)).then(moved_on(90))
    paying.given(OPENED, collected(1), collected(2)).when(adjust(40, 40)).then(moved_on(30))


def test_a_return_adjusts_the_plan_once() -> None:
    once = paying.given(OPENED, adjusted(10, (3, 10)))
    once.when(adjust(10, 10)).then()
    once.when(adjust(11, 11)).then_refuses_rule(ContentDiffers)
    paying.given(OPENED).when(adjust(0, 0)).then_refuses_rule(NotPositive)


def test_what_was_given_up_is_nobodys_to_refund() -> None:
    paying.given(OPENED, WRITTEN_OFF).when(adjust(10, 0)).then_refuses_rule(OutOfOrder)


def test_reductions_come_back_onto_the_same_instalments() -> None:
    less = paying.given(OPENED, adjusted(40, (3, 30), (2, 10)))
    back = less.when(REVERT).then(reverted((2, SECOND, 30), (3, THIRD, 30)))
    back.when(REVERT).then()
    assert after(*back.history, *back.decided) == after(OPENED)


def test_a_reduction_of_what_was_collected_since_becomes_a_new_instalment() -> None:
    history = (OPENED, adjusted(70, (3, 30), (2, 30), (1, 10)), collected(1, 20))
    after_last = date(2026, 7, 2)
    new = reverted((2, SECOND, 30), (3, THIRD, 30), (4, after_last, 10))
    paying.given(*history).when(REVERT).then(new)
    assert after(*history, new).outstanding == eur(70)


def test_a_plan_that_a_return_has_emptied_opens_again() -> None:
    empty = (OPENED, adjusted(90, (3, 30), (2, 30), (1, 30)))
    assert after(*empty).status == "settled"
    back = reverted((1, FIRST, 30), (2, SECOND, 30), (3, THIRD, 30))
    paying.given(*empty).when(REVERT).then(back)
    assert after(*empty, back).status == "open"


def test_another_returns_reductions_stay() -> None:
    two = (OPENED, adjusted(20, (3, 20)), adjusted(20, (3, 10), (2, 10), return_id=MORE))
    paying.given(*two).when(REVERT).then(reverted((3, THIRD, 20)))


def test_a_return_whose_refund_was_paid_is_not_reverted() -> None:
    for history in [
        (*PAID, adjusted(10), refunded(10)),
        (OPENED, adjusted(9, (3, 9)), refunded(0, "")),
    ]:
        paying.given(*history).when(REVERT).then_refuses_rule(OutOfOrder)
    paying.given(OPENED).when(REVERT).then()


def test_a_refund_is_paid_once() -> None:
    owed = paying.given(*PAID, adjusted(10))
    paid = owed.when(refund(10)).then(refunded(10))
    for reply in (YES, NO, None):
        paid.when(refund(10, reply)).then()
    declined = RefundDeclined(order=ORDER, return_id=BACK, amount=eur(10), code="no-funds")
    owed.when(refund(10, NO)).then(declined).when(refund(10)).then(refunded(10))


def test_the_bank_is_not_asked_to_refund_nothing() -> None:
    paying.given(OPENED, adjusted(9, (3, 9))).when(refund(0, None)).then(refunded(0, ""))


def test_what_is_refunded_is_what_the_adjustment_owes() -> None:
    paying.given(*PAID, adjusted(10)).when(refund(9, None)).then_refuses_rule(ContentDiffers)
    paying.given(*PAID).when(refund(9, None)).then_refuses_rule(OutOfOrder)


def test_of_a_collection_and_a_settlement_the_first_wins() -> None:
    due = paying.given(OPENED)
    due.when(settle(90)).then(settled(90)).when(collect(1)).then()
    due.when(collect(1)).then(collected(1)).when(settle(90)).then_refuses_rule(ContentDiffers)


def test_of_a_collection_and_a_return_the_first_wins() -> None:
    due = paying.given(OPENED, collected(1), collected(2))
    due.when(collect(3)).then(collected(3)).when(adjust(40, 30)).then(moved_on(0))
    taken = due.when(adjust(40, 30)).then(adjusted(40, (3, 30)))
    taken.when(collect(3)).then()

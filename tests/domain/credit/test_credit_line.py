from domain.credit import credit_line
from domain.credit.commands import (
    AssignLimit,
    ConsumeCredit,
    HoldCredit,
    ReleaseCredit,
    RestoreCredit,
    WriteOffDebt,
)
from domain.credit.credit_line import CreditLine
from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
    LimitAssigned,
)
from domain.identifiers import OrderId
from handrail.errors import ContentDiffers, CurrencyMismatch, NotPositive, OutOfOrder
from handrail.kernel import Money
from handrail.testing.scenario import Scenario
from tests.controls import a_customer, an_order_id, eur, usd

line = Scenario(credit_line, CreditLine())
CUSTOMER, ORDER, OTHER = a_customer(), an_order_id(), an_order_id()


def assign(limit: Money) -> AssignLimit:
    return AssignLimit(customer=CUSTOMER, limit=limit)


def assigned(limit: int, *, held: int = 0, used: int = 0) -> LimitAssigned:
    return LimitAssigned(customer=CUSTOMER, limit=eur(limit), held=eur(held), used=eur(used))


def hold(amount: Money, order: OrderId = ORDER) -> HoldCredit:
    return HoldCredit(customer=CUSTOMER, order=order, amount=amount)


def refused(amount: int, *, missing: int) -> CreditRefused:
    return CreditRefused(customer=CUSTOMER, order=ORDER, amount=eur(amount), missing=eur(missing))


def restore(amount: Money, payment: str = "first") -> RestoreCredit:
    return RestoreCredit(customer=CUSTOMER, order=ORDER, payment=payment, amount=amount)


def write_off(amount: Money) -> WriteOffDebt:
    return WriteOffDebt(customer=CUSTOMER, order=ORDER, amount=amount)


def written_off(amount: int, *, limit: int) -> DebtWrittenOff:
    return DebtWrittenOff(
        customer=CUSTOMER,
        order=ORDER,
        amount=eur(amount),
        limit=eur(limit),
        held=eur(0),
        used=eur(0),
    )


RELEASE = ReleaseCredit(customer=CUSTOMER, order=ORDER)
CONSUME = ConsumeCredit(customer=CUSTOMER, order=ORDER)
LIMIT = assigned(500)
HELD = CreditHeld(customer=CUSTOMER, order=ORDER, amount=eur(300), held=eur(300), used=eur(0))
RELEASED = CreditReleased(customer=CUSTOMER, order=ORDER, amount=eur(300), held=eur(0), used=eur(0))
CONSUMED = CreditConsumed(
    customer=CUSTOMER, order=ORDER, amount=eur(300), held=eur(0), used=eur(300)
)
with_limit = line.given(LIMIT)
with_hold = with_limit.given(HELD)
with_debt = with_hold.given(CONSUMED)


def restored(amount: int, *, used: int, payment: str = "first") -> CreditRestored:
    return CreditRestored(
        customer=CUSTOMER,
        order=ORDER,
        amount=eur(amount),
        held=eur(0),
        used=eur(used),
        payment=payment,
    )


def test_a_limit_is_assigned() -> None:
    line.when(assign(eur(500))).then(LIMIT)


def test_the_same_limit_again_changes_nothing() -> None:
    with_limit.when(assign(eur(500))).then()


def test_a_limit_of_nothing_is_a_limit() -> None:
    line.when(assign(eur(0))).then(assigned(0)).when(hold(eur(1))).then(refused(1, missing=1))


def test_a_limit_is_not_negative() -> None:
    line.when(assign(eur(-1))).then_refuses_rule(NotPositive)


def test_a_line_keeps_its_currency() -> None:
    with_limit.when(assign(usd(500))).then_refuses_rule(CurrencyMismatch)
    with_limit.when(hold(usd(1))).then_refuses_rule(CurrencyMismatch)
    with_debt.when(restore(usd(1))).then_refuses_rule(CurrencyMismatch)


def test_a_limit_below_what_is_promised_grants_nothing_more() -> None:
    lowered = with_hold.when(assign(eur(200))).then(assigned(200, held=300))
    (event,) = lowered.when(hold(eur(1), OTHER)).decided
    assert isinstance(event, CreditRefused)
    assert event.missing == eur(101)
    assert event.reason == "1.01 EUR over the credit limit"


def test_credit_is_held_up_to_the_limit() -> None:
    with_limit.when(hold(eur(300))).then(HELD)
    assert isinstance(with_limit.when(hold(eur(500))).decided[0], CreditHeld)


def test_the_holds_of_several_orders_add_up() -> None:
    (event,) = with_hold.when(hold(eur(200), OTHER)).decided
    assert isinstance(event, CreditHeld)
    assert (event.amount, event.held, event.used) == (eur(200), eur(500), eur(0))


def test_over_the_limit_what_is_missing_is_told() -> None:
    with_limit.when(hold(eur(501))).then(refused(501, missing=1))


def test_without_a_limit_all_is_missing() -> None:
    line.when(hold(eur(300))).then(refused(300, missing=300))


def test_a_refusal_leaves_the_line_as_it_was() -> None:
    assert credit_line.evolve(CreditLine(eur(5)), refused(9, missing=4)) == CreditLine(eur(5))


def test_credit_is_held_once() -> None:
    with_hold.when(hold(eur(300))).then()
    with_debt.when(hold(eur(300))).then()


def test_the_same_order_cannot_want_another_amount() -> None:
    with_hold.when(hold(eur(299))).then_refuses_rule(ContentDiffers)
    with_debt.when(hold(eur(299))).then_refuses_rule(ContentDiffers)


def test_a_hold_is_of_something() -> None:
    with_limit.when(hold(eur(0))).then_refuses_rule(NotPositive)


def test_released_credit_can_be_held_again() -> None:
    released = with_hold.when(RELEASE).then(RELEASED)
    released.when(hold(eur(300))).then(HELD)


def test_releasing_what_is_not_held_changes_nothing() -> None:
    line.when(RELEASE).then()
    with_limit.when(RELEASE).then()
    with_hold.given(RELEASED).when(RELEASE).then()
    with_debt.when(RELEASE).then()


def test_a_hold_becomes_a_debt() -> None:
    with_hold.when(CONSUME).then(CONSUMED)


def test_a_hold_becomes_a_debt_once() -> None:
    with_debt.when(CONSUME).then()


def test_what_is_not_held_cannot_become_a_debt() -> None:
    line.when(CONSUME).then_refuses_rule(OutOfOrder)
    with_hold.given(RELEASED).when(CONSUME).then_refuses_rule(OutOfOrder)


def test_a_debt_still_counts_against_the_limit() -> None:
    (event,) = with_debt.when(hold(eur(201), OTHER)).decided
    assert isinstance(event, CreditRefused)
    assert event.missing == eur(1)


def test_what_is_paid_back_can_be_lent_again() -> None:
    lower = with_debt.when(restore(eur(200))).then(restored(200, used=100))
    (event,) = lower.when(hold(eur(400), OTHER)).decided
    assert isinstance(event, CreditHeld)


def test_a_payment_is_counted_once() -> None:
    part = with_debt.given(restored(100, used=200))
    part.when(restore(eur(100))).then()
    part.when(restore(eur(100), "second")).then(restored(100, used=100, payment="second"))


def test_two_payments_come_to_the_same_in_either_order() -> None:
    first, second = restore(eur(200)), restore(eur(50), "second")
    one = with_debt.when(first).when(second).then(restored(50, used=50, payment="second"))
    other = with_debt.when(second).when(first).then(restored(200, used=50))
    for paid in (one, other):
        paid.when(first).then()
        paid.when(second).then()
        paid.when(write_off(eur(50))).then(written_off(50, limit=450))


def test_a_payment_of_nothing_changes_nothing() -> None:
    with_debt.when(restore(eur(0))).then()


def test_an_order_paid_back_is_forgotten() -> None:
    paid = with_debt.when(restore(eur(300))).then(restored(300, used=0))
    paid.when(restore(eur(300))).then()
    paid.when(write_off(eur(300))).then()
    paid.when(CONSUME).then_refuses_rule(OutOfOrder)
    paid.when(hold(eur(300))).then(HELD)


def test_the_payments_of_a_debt_are_forgotten_with_it() -> None:
    again = with_debt.given(
        restored(100, used=200), restored(200, used=0, payment="second"), HELD, CONSUMED
    )
    again.when(restore(eur(100))).then(restored(100, used=200))


def test_no_more_comes_back_than_is_owed() -> None:
    with_debt.when(restore(eur(301))).then_refuses_rule(OutOfOrder)


def test_a_payment_is_never_negative() -> None:
    with_debt.when(restore(eur(-1))).then_refuses_rule(NotPositive)


def test_what_is_only_held_is_not_paid_back() -> None:
    with_hold.when(restore(eur(0))).then_refuses_rule(OutOfOrder)
    with_hold.when(restore(eur(300))).then_refuses_rule(OutOfOrder)


def test_where_nothing_is_owed_nothing_comes_back() -> None:
    line.when(restore(eur(100))).then()
    with_limit.when(restore(eur(100))).then()


def test_a_debt_that_is_lost_lowers_the_limit_by_as_much() -> None:
    lost = with_debt.when(write_off(eur(300))).then(written_off(300, limit=200))
    (event,) = lost.when(hold(eur(201))).decided
    assert isinstance(event, CreditRefused)
    assert event.missing == eur(1)


def test_a_limit_is_not_lowered_below_nothing() -> None:
    lowered = with_debt.given(assigned(100, used=300))
    lowered.when(write_off(eur(300))).then(written_off(300, limit=0))


def test_what_is_left_of_a_debt_is_written_off() -> None:
    part = with_debt.given(restored(100, used=200))
    part.when(write_off(eur(200))).then(written_off(200, limit=300))


def test_a_debt_is_written_off_once() -> None:
    with_debt.given(written_off(300, limit=200)).when(write_off(eur(300))).then()


def test_where_nothing_is_owed_nothing_is_written_off() -> None:
    line.when(write_off(eur(300))).then()
    with_limit.when(write_off(eur(300))).then()


def test_no_other_amount_is_written_off_than_is_owed() -> None:
    with_debt.when(write_off(eur(299))).then_refuses_rule(OutOfOrder)
    with_debt.when(write_off(eur(301))).then_refuses_rule(OutOfOrder)
    with_hold.when(write_off(eur(300))).then_refuses_rule(OutOfOrder)


def test_of_a_payment_and_a_write_off_the_first_wins() -> None:
    paid = with_debt.when(restore(eur(100)))
    paid.when(write_off(eur(300))).then_refuses_rule(OutOfOrder)
    with_debt.when(write_off(eur(300))).when(restore(eur(100))).then()


def test_of_release_and_consume_the_first_wins() -> None:
    with_hold.when(RELEASE).then(RELEASED).when(CONSUME).then_refuses_rule(OutOfOrder)
    with_hold.when(CONSUME).then(CONSUMED).when(RELEASE).then()


def test_of_two_orders_for_the_last_credit_the_first_wins() -> None:
    with_limit.when(hold(eur(300), OTHER)).when(hold(eur(300))).then(refused(300, missing=100))

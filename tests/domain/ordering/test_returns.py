from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest

from domain.errors import NoLines, TotalDiffers
from domain.identifiers import ReturnId, Sku
from domain.ordering import order
from domain.ordering.commands import AcceptReturn, CompleteReturn, WithdrawReturn
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    ReturnAccepted,
    ReturnCompleted,
    ReturnLine,
    ReturnRefused,
    ReturnWithdrawn,
    Why,
)
from domain.ordering.order import Order
from domain.ordering.returns import value_of
from handrail.errors import ContentDiffers, DomainError, NotPositive, OutOfOrder, UnknownAggregate
from handrail.kernel import Event, Money
from handrail.testing.scenario import Scenario
from tests.controls import NOON, a_line, an_order, an_order_id, eur

ordering = Scenario(order, Order())
ID, RETURN, OTHER = an_order_id(), ReturnId("return-1"), ReturnId("return-2")
CUP, POT = Sku("cup"), Sku("pot")
# The cup was bought at two prices.
PLACE = an_order(
    order=ID,
    lines=(
        a_line(sku=CUP, quantity=1, price=10_00),
        a_line(sku=CUP, quantity=2, price=30_00),
        a_line(sku=POT, quantity=1, price=50_00),
    ),
)
(PLACED,) = ordering.when(PLACE).decided
CONFIRMED = OrderConfirmed(order=ID)
COMPLETED = OrderCompleted(order=ID, completed_at=NOON)
confirmed = ordering.given(PLACED, CONFIRMED)
completed = confirmed.given(COMPLETED)


def lines_of(**quantities: int) -> tuple[ReturnLine, ...]:
    return tuple(ReturnLine(sku=Sku(sku), quantity=q) for sku, q in quantities.items())


def accept(
    value: Money, name: ReturnId = RETURN, why: Why = "returned", **quantities: int
) -> AcceptReturn:
    return AcceptReturn(
        order=ID,
        return_id=name,
        lines=lines_of(**quantities),
        value=value,
        why=why,
        accepted_at=NOON,
    )


def accepted(
    value: Money, name: ReturnId = RETURN, why: Why = "returned", **quantities: int
) -> ReturnAccepted:
    return ReturnAccepted(
        order=ID,
        return_id=name,
        lines=lines_of(**quantities),
        value=value,
        why=why,
        accepted_at=NOON,
    )


def refused(cause: str) -> ReturnRefused:
    return ReturnRefused(order=ID, return_id=RETURN, cause=cause)


def withdraw(name: ReturnId = RETURN) -> WithdrawReturn:
    return WithdrawReturn(order=ID, return_id=name)


def complete(name: ReturnId = RETURN) -> CompleteReturn:
    return CompleteReturn(order=ID, return_id=name)


def was_completed(*, everything: bool, name: ReturnId = RETURN) -> ReturnCompleted:
    return ReturnCompleted(order=ID, return_id=name, everything=everything)


A_POT = accepted(eur(50_00), pot=1)
WITHDRAWN = ReturnWithdrawn(order=ID, return_id=RETURN)
LOST = accepted(eur(120_00), why="lost", cup=3, pot=1)


def test_what_was_delivered_may_come_back() -> None:
    completed.when(accept(eur(50_00), pot=1)).then(A_POT)


def test_what_was_lost_on_its_way_counts_as_come_back() -> None:
    confirmed.when(accept(eur(120_00), why="lost", cup=3, pot=1)).then(LOST)


def test_a_return_is_accepted_once() -> None:
    completed.given(A_POT).when(accept(eur(50_00), pot=1)).then()
    whole = completed.given(accepted(eur(120_00), cup=3, pot=1), was_completed(everything=True))
    whole.when(accept(eur(120_00), cup=3, pot=1)).then()


def test_the_same_id_cannot_mean_another_return() -> None:
    completed.given(A_POT).when(accept(eur(30_00), cup=1)).then_refuses_rule(ContentDiffers)


def test_the_dearest_pieces_come_back_first() -> None:
    (first,) = completed.when(accept(eur(60_00), cup=2)).decided
    completed.given(first).when(accept(eur(10_00), OTHER, cup=1)).then(
        accepted(eur(10_00), OTHER, cup=1)
    )


def test_a_withdrawn_return_gives_its_very_pieces_back() -> None:
    dear, cheap = accepted(eur(60_00), cup=2), accepted(eur(10_00), OTHER, cup=1)
    again = completed.given(dear, cheap, WITHDRAWN)
    again.when(accept(eur(60_00), cup=2)).then(dear)


def test_a_value_is_quoted_as_it_is_accepted() -> None:
    assert isinstance(PLACED, OrderPlaced)
    dear = (a_line(sku=CUP, quantity=2, price=30_00),)
    assert value_of(PLACED, (), lines_of(cup=3, pot=1)) == eur(120_00)
    assert value_of(PLACED, dear, lines_of(cup=1, pot=1)) == eur(60_00)
    assert value_of(PLACED, dear, lines_of(cup=2)) == eur(10_00)


@pytest.mark.parametrize("value", [eur(49_99), eur(50_01), eur(0)])
def test_another_value_than_the_lines_cost_is_wrong(value: Money) -> None:
    completed.when(accept(value, pot=1)).then_refuses_rule(TotalDiffers)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (accept(eur(0)), NoLines),
        (accept(eur(0), pot=0), NotPositive),
        (accept(eur(50_00), pot=1, cup=-1), NotPositive),
    ],
)
def test_a_return_is_of_something(wrong: AcceptReturn, rule: type[DomainError]) -> None:
    completed.when(wrong).then_refuses_rule(rule)


def test_more_than_was_bought_cannot_come_back() -> None:
    asked = accept(eur(0), cup=4, pot=2)
    completed.when(asked).then(refused("3 of 4 cup can come back, 1 of 2 pot can come back"))
    completed.when(accept(eur(0), tin=1)).then(refused("0 of 1 tin can come back"))


def test_one_article_on_two_lines_is_one_quantity() -> None:
    twice = AcceptReturn(
        order=ID,
        return_id=RETURN,
        lines=(*lines_of(pot=1), *lines_of(pot=1)),
        value=eur(100_00),
        why="returned",
        accepted_at=NOON,
    )
    completed.when(twice).then(refused("1 of 2 pot can come back"))


@pytest.mark.parametrize("then", [(), (was_completed(everything=False, name=OTHER),)])
def test_what_another_return_holds_cannot_come_back_again(then: Sequence[Event]) -> None:
    held = completed.given(accepted(eur(50_00), OTHER, pot=1), *then)
    held.when(accept(eur(50_00), pot=1)).then(refused("0 of 1 pot can come back"))


def test_what_was_not_delivered_is_not_sent_back() -> None:
    confirmed.when(accept(eur(50_00), pot=1)).then(refused("the order was not delivered yet"))


def test_what_was_delivered_is_not_lost() -> None:
    lost = accept(eur(50_00), why="lost", pot=1)
    completed.when(lost).then(refused("the order was delivered"))


@pytest.mark.parametrize("history", [(PLACED,), (PLACED, OrderRejected(order=ID))])
def test_of_an_order_that_does_not_stand_nothing_comes_back(history: Sequence[Event]) -> None:
    (event,) = ordering.given(*history).when(accept(eur(50_00), pot=1)).decided
    assert isinstance(event, ReturnRefused)
    assert "so nothing can come back" in event.reason


def test_of_an_unknown_order_nothing_comes_back() -> None:
    ordering.when(accept(eur(50_00), pot=1)).then_refuses_rule(UnknownAggregate)


def test_an_accepted_return_is_withdrawn() -> None:
    completed.given(A_POT).when(withdraw()).then(WITHDRAWN)


def test_nothing_is_left_to_withdraw_of_a_return_that_is_not_there() -> None:
    ordering.when(withdraw()).then()
    completed.when(withdraw()).then()
    completed.given(A_POT, WITHDRAWN).when(withdraw()).then()


def test_a_completed_return_is_not_withdrawn() -> None:
    done = completed.given(A_POT, was_completed(everything=False))
    done.when(withdraw()).then_refuses_rule(OutOfOrder)


def test_a_part_that_came_back_leaves_the_order_as_it_was() -> None:
    done = completed.given(A_POT).when(complete()).then(was_completed(everything=False))
    assert state(done).status == "completed"


@pytest.mark.parametrize("history", [(COMPLETED, accepted(eur(120_00), cup=3, pot=1)), (LOST,)])
def test_an_order_that_came_back_as_a_whole_is_returned(history: Sequence[Event]) -> None:
    done = confirmed.given(*history).when(complete()).then(was_completed(everything=True))
    assert state(done).status == "returned"


def test_of_two_returns_the_last_one_completes_the_whole() -> None:
    rest = accepted(eur(70_00), OTHER, cup=3)
    both = completed.given(A_POT, rest)
    first = both.when(complete(OTHER)).then(was_completed(everything=False, name=OTHER))
    first.when(complete()).then(was_completed(everything=True))


def test_a_return_is_completed_once() -> None:
    done = completed.given(A_POT, was_completed(everything=False))
    done.when(complete()).then()


def test_what_was_not_accepted_is_not_completed() -> None:
    ordering.when(complete()).then_refuses_rule(OutOfOrder)
    completed.when(complete()).then_refuses_rule(OutOfOrder)
    completed.given(A_POT, WITHDRAWN).when(complete()).then_refuses_rule(OutOfOrder)


def test_of_two_returns_of_the_last_piece_the_first_wins() -> None:
    first = completed.when(accept(eur(50_00), OTHER, pot=1))
    first.when(accept(eur(50_00), pot=1)).then(refused("0 of 1 pot can come back"))


def test_of_withdraw_and_complete_the_first_wins() -> None:
    held = completed.given(A_POT)
    held.when(withdraw()).then(WITHDRAWN).when(complete()).then_refuses_rule(OutOfOrder)
    held.when(complete()).when(withdraw()).then_refuses_rule(OutOfOrder)


def state(scenario: Scenario) -> Order:
    happened: tuple[Any, ...] = scenario.history + scenario.decided
    return reduce(order.evolve, happened, Order())

"""A customer's erasure: refused while something is open, and then one step after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pytest

from domain.customers.commands import (
    ConfirmErasure,
    CustomerCommand,
    DestroyCustomerKeys,
    RemoveCustomerData,
    RequestErasure,
)
from domain.customers.customer import Customer, decide, evolve
from domain.customers.events import (
    CustomerErased,
    CustomerErasureRefused,
    CustomerErasureRequested,
    CustomerEvent,
    CustomerKeysDestroyed,
    Removed,
)
from domain.identifiers import CustomerId, OrderId
from handrail.errors import OutOfOrder
from handrail.kernel import Money
from tests.controls import NOON

ANN = CustomerId("customer-ann")
REQUEST = RequestErasure(customer=ANN, by="privacy", requested_at=NOON)
DESTROY = DestroyCustomerKeys(customer=ANN, by="privacy", keys=("k1",))
REMOVE = RemoveCustomerData(customer=ANN, removed=(Removed(what="contact", count=1),))
CONFIRM = ConfirmErasure(customer=ANN, erased_at=NOON)
STEPS: Sequence[CustomerCommand] = (REQUEST, DESTROY, REMOVE, CONFIRM)


def after(*commands: CustomerCommand) -> Customer:
    customer = Customer()
    for command in commands:
        customer = reduce(evolve, decide(command, customer), customer)
    return customer


def test_an_open_order_refuses_and_is_named() -> None:
    asked = RequestErasure(
        customer=ANN, by="privacy", requested_at=NOON, open_orders=(OrderId("order-7"),)
    )
    [refused] = decide(asked, Customer())
    assert isinstance(refused, CustomerErasureRefused)
    assert refused.reason == "1 open: order-7"


def test_a_debt_refuses_and_is_named() -> None:
    asked = RequestErasure(customer=ANN, by="privacy", requested_at=NOON, owed=Money(12_50, "EUR"))
    [refused] = decide(asked, Customer())
    assert isinstance(refused, CustomerErasureRefused)
    assert refused.reason == "12.50 EUR held or owed"


def test_the_proof_says_who_asked_which_keys_and_what_was_removed() -> None:
    events: list[CustomerEvent] = []
    customer = Customer()
    for command in STEPS:
        events += decide(command, customer)
        customer = reduce(evolve, events[-1:], customer)
    assert events[-1] == CustomerErased(
        customer=ANN, by="privacy", keys=("k1",), removed=REMOVE.removed, erased_at=NOON
    )


@pytest.mark.parametrize("step", STEPS[1:], ids=lambda one: type(one).__name__)
def test_a_step_that_comes_before_the_one_it_follows_is_out_of_order(
    step: CustomerCommand,
) -> None:
    with pytest.raises(OutOfOrder):
        decide(step, Customer())


@pytest.mark.parametrize("done", range(1, 5))
def test_a_step_that_is_asked_again_changes_nothing(done: int) -> None:
    customer = after(*STEPS[:done])
    if done < len(STEPS):  # an erasure that is over may begin anew
        assert decide(STEPS[0], customer) == []
    for step in STEPS[1:done]:
        assert decide(step, customer) == []


def test_an_erasure_may_be_asked_for_again_once_it_is_over() -> None:
    customer = after(*STEPS)
    [again] = decide(REQUEST, customer)
    assert isinstance(again, CustomerErasureRequested)
    [destroyed] = decide(DESTROY, evolve(customer, again))
    assert isinstance(destroyed, CustomerKeysDestroyed)

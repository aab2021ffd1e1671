"""Any commands in any order, broken ones included: what every reachable state must hold to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.credit import commands as credit
from domain.errors import DomainError
from domain.inventory import commands as inventory
from domain.kernel import Command, CustomerId, MerchantId, Money, OrderId, Sku
from domain.ordering import commands as ordering
from domain.ordering.events import OrderLine
from domain.ordering.terms import down_payment
from domain.payments import commands as payments
from domain.settlement import commands as settlement
from domain.shipping import commands as shipping
from tests.controls import NOON, an_order, eur
from tests.scenario import Decider, Keyed, decide_twice

Commands = st.SearchStrategy[list[Any]]

# Few ids and small amounts, so that commands meet each other often.
CUSTOMER, MERCHANT, ORDER = CustomerId("customer"), MerchantId("merchant"), OrderId("order-1")
ORDERS = st.sampled_from([ORDER, OrderId("order-2")])
SKUS = st.sampled_from([Sku("cup"), Sku("pot")])
QUANTITIES = st.integers(-1, 6)
CURRENCIES = st.sampled_from(["EUR"] * 19 + ["USD"])
AMOUNTS = st.builds(Money, st.integers(-1, 9), CURRENCIES)
OUTSTANDING = st.builds(Money, st.integers(-1, 4), CURRENCIES)
LIMITS = st.builds(Money, st.integers(-1, 12), CURRENCIES)


def walk(decider: Decider, initial: Any, commands: Iterable[Command]) -> Iterator[tuple[Any, Any]]:
    """Each event with the state after it; every command is decided twice, every state stored."""
    state = initial
    stored = TypeAdapter(type(decider.initial if isinstance(decider, Keyed) else initial))
    for command in commands:
        try:
            events = decide_twice(decider, command, state)
        except DomainError:
            continue
        for event in events:
            state = decider.evolve(state, event)
            yield event, state
        for one in state.values() if isinstance(decider, Keyed) else [state]:
            assert stored.validate_json(stored.dump_json(one)) == one


def some(*commands: st.SearchStrategy[Any]) -> Commands:
    """Of any length alike: plain lists are mostly too short to get anywhere."""
    one = st.one_of(*commands)
    return st.integers(0, 30).flatmap(lambda n: st.lists(one, min_size=n, max_size=n))


def credit_commands() -> Commands:
    whose = {"customer": st.just(CUSTOMER), "order": ORDERS}
    return some(
        st.builds(credit.AssignLimit, customer=st.just(CUSTOMER), limit=LIMITS),
        st.builds(credit.HoldCredit, **whose, amount=AMOUNTS),
        st.builds(credit.ReleaseCredit, **whose),
        st.builds(credit.ConsumeCredit, **whose),
        st.builds(credit.RestoreCredit, **whose, outstanding=OUTSTANDING),
    )


def stock_commands() -> Commands:
    merchant = st.just(MERCHANT)
    line = st.builds(inventory.StockLine, sku=SKUS, quantity=QUANTITIES)
    return some(
        st.builds(
            inventory.ReceiveStock,
            merchant=merchant,
            sku=SKUS,
            delivery=st.sampled_from(["monday", "tuesday", "friday"]),
            quantity=QUANTITIES,
        ),
        st.builds(
            inventory.ReserveStock,
            order=ORDERS,
            merchant=merchant,
            lines=st.lists(line, max_size=3).map(tuple),
        ),
        st.builds(
            inventory.ReleaseStock,
            order=ORDERS,
            merchant=merchant,
            skus=st.lists(SKUS, max_size=3).map(tuple),
        ),
    )


def order_commands() -> Commands:
    line = st.builds(
        OrderLine,
        sku=SKUS,
        quantity=st.integers(1, 3),
        unit_price=st.integers(0, 9).map(eur),
    )
    place = st.builds(
        _place,
        lines=st.lists(line, min_size=1, max_size=2),
        instalments=st.integers(1, 4),
        minute=st.integers(0, 1),
        too_much=st.sampled_from([0, 0, 0, 1]),
    )
    return some(
        place,
        st.just(ordering.RejectOrder(order=ORDER)),
        st.just(ordering.ConfirmOrder(order=ORDER)),
    )


def _place(
    *, lines: list[OrderLine], instalments: int, minute: int, too_much: int
) -> ordering.PlaceOrder:
    """Never free of charge: the terms know nothing to share out then."""
    placed = an_order(
        order=ORDER,
        customer=CUSTOMER,
        merchant=MERCHANT,
        lines=(*lines, OrderLine(sku=Sku("lid"), quantity=1, unit_price=eur(1))),
        instalments=instalments,
        placed_at=NOON + timedelta(minutes=minute),
    )
    total = placed.total + eur(too_much)
    return replace(placed, total=total, down_payment=down_payment(total, instalments))


def payment_commands() -> Commands:
    yes = st.builds(payments.Approved, reference=st.sampled_from(["bank-1", "bank-2"]))
    asked = {
        "order": st.just(ORDER),
        "reply": st.one_of(st.none(), yes, yes, st.just(payments.Declined(code="no-funds"))),
    }
    amount = st.sampled_from([eur(25), eur(25), eur(26), eur(0)])
    return some(
        st.builds(payments.AuthoriseDownPayment, **asked, amount=amount, card=st.just("card-1")),
        st.builds(payments.VoidPayment, **asked),
        st.builds(payments.CapturePayment, **asked, amount=amount),
    )


def shipment_commands() -> Commands:
    yes, no = shipping.Booked(reference="truck-1"), shipping.NotBooked(code="too-far")
    asked = {"order": st.just(ORDER), "reply": st.sampled_from([None, yes, yes, no])}
    return some(
        st.builds(
            shipping.BookShipment,
            **asked,
            merchant=st.just(MERCHANT),
            ship_to=st.just("address-1"),
            parcels=st.integers(0, 2),
        ),
        st.builds(shipping.CancelShipment, **asked),
    )


def merchant_commands() -> Commands:
    merchant = st.just(MERCHANT)
    gross = st.builds(Money, st.integers(-1, 99_999), CURRENCIES)
    return some(
        st.builds(
            settlement.OpenMerchantAccount,
            merchant=merchant,
            currency=st.just("EUR"),
            fee_bps=st.integers(-1, 10_001),
        ),
        st.builds(settlement.AccruePayable, merchant=merchant, order=ORDERS, gross=gross),
        st.builds(settlement.ClawBack, merchant=merchant, order=ORDERS),
    )

"""Any commands in any order, broken ones included: what every reachable state must hold to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.credit import commands as credit
from domain.identifiers import CustomerId, MerchantId, OrderId, PayoutId, ReturnId, Sku
from domain.inventory import commands as inventory
from domain.ordering import commands as ordering
from domain.ordering.events import OrderLine, ReturnLine, Why
from domain.ordering.order import Order
from domain.ordering.returns import value_of
from domain.ordering.terms import down_payment
from domain.payments import commands as payments
from domain.settlement import commands as settlement
from domain.shipping import commands as shipping
from handrail.errors import DomainError
from handrail.kernel import Money
from handrail.replies import Accepted, Declined
from handrail.testing.scenario import Decider, Keyed, decide_twice
from tests.controls import NOON, an_order, eur

Commands = st.SearchStrategy[list[Any]]

# Few ids and small amounts, so that commands meet each other often.
CUSTOMER, MERCHANT, ORDER = CustomerId("customer"), MerchantId("merchant"), OrderId("order-1")
ORDERS = st.sampled_from([ORDER, OrderId("order-2")])
SKUS = st.sampled_from([Sku("cup"), Sku("pot")])
QUANTITIES = st.integers(-1, 6)
CURRENCIES = st.sampled_from(["EUR"] * 19 + ["USD"])
AMOUNTS = st.builds(Money, st.integers(-1, 9), CURRENCIES)
PAID = st.builds(Money, st.integers(-1, 4), CURRENCIES)
PAYMENTS = st.sampled_from(["instalment-1", "instalment-2", "return-1"])
RETURNS = st.sampled_from([ReturnId("return-1"), ReturnId("return-2"), ReturnId("return-3")])
PAYOUTS = st.sampled_from([PayoutId("payout-1"), PayoutId("payout-2")])
LIMITS = st.builds(Money, st.integers(-1, 12), CURRENCIES)


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter_of(state: Any) -> TypeAdapter[Any]:
    """To make one takes longer than a walk."""
    kind = type(state)
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def walk(decider: Decider, initial: Any, commands: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each event with the state after it; every command is decided twice, every state stored.

    What depends on the state, such as a value that has to be right, is a function of it.
    """
    state = initial
    stored = _adapter_of(decider.initial if isinstance(decider, Keyed) else initial)
    for asked in commands:
        command = asked(state) if callable(asked) else asked
        try:
            events = decide_twice(decider, command, state)
        except DomainError:
            continue
        for event in events:
            state = decider.evolve(state, event)
            yield event, state
        for one in state.values() if isinstance(decider, Keyed) else [state]:
            assert stored.validate_json(stored.dump_json(one)) == one


def some(*commands: st.SearchStrategy[Any], story: Sequence[st.SearchStrategy[Any]]) -> Commands:
    """Of any length alike: plain lists are mostly too short to get anywhere.

    They begin somewhere in the `story`, whose end is seldom reached by chance.
    """
    one = st.one_of(*commands)
    rest = st.integers(0, 30).flatmap(lambda n: st.lists(one, min_size=n, max_size=n))
    begun = st.integers(0, len(story)).flatmap(lambda n: st.tuples(*story[:n]))
    return st.builds(lambda first, then: [*first, *then], begun, rest)


def credit_commands() -> Commands:
    whose = {"customer": st.just(CUSTOMER), "order": ORDERS}
    return some(
        st.builds(credit.AssignLimit, customer=st.just(CUSTOMER), limit=LIMITS),
        st.builds(credit.HoldCredit, **whose, amount=AMOUNTS),
        st.builds(credit.ReleaseCredit, **whose),
        st.builds(credit.ConsumeCredit, **whose),
        st.builds(credit.RestoreCredit, **whose, payment=PAYMENTS, amount=PAID),
        st.builds(credit.WriteOffDebt, **whose, amount=AMOUNTS),
        story=[
            st.just(credit.AssignLimit(customer=CUSTOMER, limit=eur(12))),
            st.just(credit.HoldCredit(customer=CUSTOMER, order=ORDER, amount=eur(5))),
            st.just(credit.ConsumeCredit(customer=CUSTOMER, order=ORDER)),
        ],
    )


def stock_commands() -> Commands:
    merchant = st.just(MERCHANT)
    line = st.builds(inventory.StockLine, sku=SKUS, quantity=QUANTITIES)
    lines, skus = st.lists(line, max_size=3).map(tuple), st.lists(SKUS, max_size=3).map(tuple)
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
            lines=lines,
        ),
        st.builds(inventory.ReleaseStock, order=ORDERS, merchant=merchant, skus=skus),
        st.builds(inventory.ShipStock, order=ORDERS, merchant=merchant, skus=skus),
        st.builds(
            inventory.Restock, merchant=merchant, return_id=RETURNS, order=ORDERS, lines=lines
        ),
        story=[
            st.builds(
                inventory.ReceiveStock,
                merchant=merchant,
                sku=SKUS,
                delivery=st.just("sunday"),
                quantity=st.just(6),
            ),
            st.just(
                inventory.ReserveStock(
                    order=ORDER,
                    merchant=MERCHANT,
                    lines=(inventory.StockLine(sku=Sku("cup"), quantity=2),),
                )
            ),
        ],
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
        st.just(_review),
        st.just(ordering.CloseReview(order=ORDER)),
        st.just(ordering.CompleteOrder(order=ORDER, completed_at=NOON)),
        _accept_returns(),
        st.builds(ordering.WithdrawReturn, order=st.just(ORDER), return_id=RETURNS),
        st.builds(ordering.CompleteReturn, order=st.just(ORDER), return_id=RETURNS),
        story=[
            place,
            st.just(ordering.ConfirmOrder(order=ORDER)),
            st.just(ordering.CompleteOrder(order=ORDER, completed_at=NOON)),
        ],
    )


def _accept_returns() -> st.SearchStrategy[Any]:
    skus = st.sampled_from([Sku("cup"), Sku("pot"), Sku("lid")])
    line = st.builds(ReturnLine, sku=skus, quantity=st.sampled_from([0, 1, 1, 1, 2]))
    return st.builds(
        _accept,
        return_id=RETURNS,
        lines=st.lists(line, min_size=1, max_size=2).map(tuple),
        why=st.sampled_from(["returned", "returned", "lost"]),
        too_much=st.sampled_from([0, 0, 0, 1]),
    )


def _review(order: Order) -> ordering.RequestReview:
    return ordering.RequestReview(
        order=ORDER, total=order.content.total if order.content else eur(1)
    )


def _accept(
    *, return_id: ReturnId, lines: tuple[ReturnLine, ...], why: Why, too_much: int
) -> Callable[[Order], ordering.AcceptReturn]:
    def accept(order: Order) -> ordering.AcceptReturn:
        value = eur(too_much)
        if order.content:
            value += value_of(order.content, order.taken, lines)
        return ordering.AcceptReturn(
            order=ORDER,
            return_id=return_id,
            lines=lines,
            value=value,
            why=why,
            accepted_at=NOON,
        )

    return accept


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
    yes = st.builds(Accepted, reference=st.sampled_from(["bank-1", "bank-2"]))
    asked = {
        "order": st.just(ORDER),
        "reply": st.one_of(st.none(), yes, yes, st.just(Declined(code="no-funds"))),
    }
    amount = st.sampled_from([eur(25), eur(25), eur(26), eur(0)])
    return some(
        st.builds(payments.AuthoriseDownPayment, **asked, amount=amount, card=st.just("card-1")),
        st.builds(payments.VoidPayment, **asked),
        st.builds(payments.CapturePayment, **asked, amount=amount),
        story=[],
    )


def plan_commands() -> Commands:
    order, yes = st.just(ORDER), Accepted(reference="bank-1")
    no = Declined(code="no-funds")
    asked = {"order": order, "reply": st.sampled_from([None, yes, yes, yes, no])}
    number, amount = st.integers(1, 4), st.integers(0, 12).map(eur)
    due = st.integers(0, 90).map(lambda days: NOON.date() + timedelta(days=days))
    returns = {"order": order, "return_id": st.sampled_from([ReturnId("r1"), ReturnId("r2")])}
    opening = payments.OpenPlan(
        order=ORDER,
        customer=CUSTOMER,
        financed=eur(10),
        instalments=3,
        card="card-1",
        first_due=NOON.date(),
    )
    return some(
        st.builds(
            payments.CollectInstalment,
            **asked,
            number=number,
            amount=st.sampled_from([eur(3), eur(4), eur(5)]),
            card=st.just("card-1"),
        ),
        st.builds(
            payments.ChargeLateFee,
            order=order,
            number=number,
            fee=st.integers(0, 1).map(eur),
            reminder=st.integers(1, 2),
        ),
        st.builds(payments.Reschedule, order=order, number=number, due=due),
        st.builds(payments.SettleEarly, **asked, amount=amount, card=st.just("card-1")),
        st.just(payments.WriteOffPlan(order=ORDER)),
        st.builds(payments.AdjustPlan, **returns, value=amount, absorbed=amount),
        st.integers(1, 12).flatmap(
            lambda value: st.builds(
                payments.AdjustPlan,
                **returns,
                value=st.just(eur(value)),
                absorbed=st.just(eur(value)),
            )
        ),
        st.builds(payments.RevertAdjustment, **returns),
        st.builds(payments.RefundPayment, **{**asked, **returns}, amount=amount),
        st.builds(payments.RefundPayment, **{**asked, **returns}, amount=st.just(eur(0))),
        story=[st.just(opening)],
    )


def transfer_commands() -> Commands:
    yes, no = Accepted(reference="bank-1"), Declined(code="account_closed")
    return some(
        st.builds(
            payments.TransferPayout,
            payout=st.just(PayoutId("p1")),
            merchant=st.just(MERCHANT),
            amount=st.integers(0, 2).map(eur),
            reply=st.sampled_from([None, yes, no]),
        ),
        story=[],
    )


def application_commands() -> Commands:
    who = {"merchant": st.just(MERCHANT)}
    kinds = ["identity", "bank_account", "registration"]
    papers = [settlement.Document(kind=kind, reference=kind) for kind in kinds]
    reply = [None, settlement.Registered(entry="e-1"), settlement.NotRegistered(code="struck_off")]
    number = st.sampled_from(["reg_ok", "reg_ok", "reg_other"])
    return some(
        st.builds(
            settlement.SubmitApplication,
            **who,
            registration=number,
            documents=st.sampled_from([tuple(papers), tuple(papers), tuple(papers[1:])]),
            submitted_at=st.just(NOON),
        ),
        st.builds(settlement.WithdrawApplication, **who),
        st.builds(
            settlement.CheckRegistry, **who, registration=number, reply=st.sampled_from(reply)
        ),
        st.builds(settlement.DiscardCheck, **who),
        st.builds(settlement.RequestApproval, **who),
        st.builds(settlement.CloseApproval, **who),
        st.builds(settlement.ActivateMerchant, **who),
        story=[],
    )


def shipment_commands() -> Commands:
    yes, no = Accepted(reference="truck-1"), Declined(code="too-far")
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
        st.just(shipping.RecordDispatch(order=ORDER, at=NOON)),
        st.just(shipping.RecordDelivery(order=ORDER, at=NOON)),
        st.just(shipping.RecordLoss(order=ORDER, at=NOON, cause="truck")),
        story=[],
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
        st.builds(
            settlement.ClawBack, merchant=merchant, order=ORDERS, return_id=RETURNS, gross=gross
        ),
        st.builds(
            settlement.PreparePayout,
            merchant=merchant,
            payout=PAYOUTS,
            amount=st.builds(Money, st.integers(0, 60_000), CURRENCIES),
        ),
        st.builds(settlement.CancelPayout, merchant=merchant, payout=PAYOUTS),
        st.builds(settlement.ConfirmPayout, merchant=merchant, payout=PAYOUTS),
        st.just(settlement.CloseMerchantAccount(merchant=MERCHANT)),
        story=[
            st.just(settlement.OpenMerchantAccount(merchant=MERCHANT, currency="EUR", fee_bps=250)),
            st.just(settlement.AccruePayable(merchant=MERCHANT, order=ORDER, gross=eur(80_000))),
        ],
    )

"""Finance's ledger, from events alone: each entry adds up, and the figures are those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from consumers import finance
from consumers.ledger import Unbalanced, lines_of
from domain.identifiers import OrderId, PayoutId, ReturnId
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    LateFeeCharged,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    PayoutTransferred,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    Reduction,
    RefundPaid,
)
from domain.settlement.events import (
    MerchantAccountOpened,
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutPrepared,
)
from handrail.kernel import Event, Money
from handrail.messaging.consumers.store_consumer import catch_up
from runtime.app import HANDRAIL
from runtime.verify.prove import prove
from tests.controls import a_customer, a_merchant, eur
from tests.messaging.consumers.place import Place, a_place

ORDER, RETURN, MERCHANT, CUSTOMER = OrderId("o1"), ReturnId("r1"), a_merchant(), a_customer()
OF_MERCHANT: dict[str, Any] = {"merchant": MERCHANT}
FIRST, SECOND, FAILED = PayoutId("p1"), PayoutId("p2"), PayoutId("p3")

sold: Sequence[tuple[str, Event]] = (
    ("merchant", MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=290)),
    ("payment", PaymentCaptured(order=ORDER, amount=eur(25_00), capture="c")),
    (
        "plan",
        PlanOpened(
            order=ORDER,
            customer=CUSTOMER,
            card="card",
            instalments=tuple(
                PlannedInstalment(number=number, due=date(2026, 4, number), amount=eur(25_00))
                for number in (1, 2, 3)
            ),
        ),
    ),
    (
        "merchant",
        PayableAccrued(
            **OF_MERCHANT, order=ORDER, gross=eur(100_00), fee=eur(2_90), balance=eur(97_10)
        ),
    ),
)
paid_off: Sequence[tuple[str, Event]] = (
    (
        "plan",
        InstalmentCollected(
            order=ORDER, number=1, principal=eur(25_00), fees=eur(0), charge="ch-1"
        ),
    ),
    ("plan", LateFeeCharged(order=ORDER, number=2, fee=eur(5_00), reminder=1)),
    ("plan", LateFeeCharged(order=ORDER, number=2, fee=eur(5_00), reminder=2)),
    (
        "plan",
        InstalmentCollected(
            order=ORDER, number=2, principal=eur(25_00), fees=eur(10_00), charge="ch-2"
        ),
    ),
)
adjusted = PlanAdjusted(
    order=ORDER,
    return_id=RETURN,
    value=eur(50_00),
    absorbed=eur(25_00),
    refund=eur(25_00),
    reductions=(Reduction(number=3, amount=eur(25_00)),),
)
came_back: Sequence[tuple[str, Event]] = (
    ("plan", adjusted),
    (
        "merchant",
        PayableClawedBack(
            **OF_MERCHANT, order=ORDER, amount=eur(48_55), balance=eur(48_55), return_id=RETURN
        ),
    ),
    ("plan", RefundPaid(order=ORDER, return_id=RETURN, amount=eur(25_00), refund="re-1")),
)
reverted: Sequence[tuple[str, Event]] = (
    ("plan", adjusted),
    (
        "plan",
        AdjustmentReverted(
            order=ORDER,
            return_id=RETURN,
            instalments=(PlannedInstalment(number=3, due=date(2026, 4, 3), amount=eur(25_00)),),
        ),
    ),
)
paid_out: Sequence[tuple[str, Event]] = (
    (
        "merchant",
        PayoutPrepared(**OF_MERCHANT, payout=FAILED, amount=eur(40_00), balance=eur(57_10)),
    ),
    (
        "merchant",
        PayoutCancelled(**OF_MERCHANT, payout=FAILED, amount=eur(40_00), balance=eur(97_10)),
    ),
    (
        "merchant",
        PayoutPrepared(**OF_MERCHANT, payout=FIRST, amount=eur(40_00), balance=eur(57_10)),
    ),
    (
        "transfer",
        PayoutTransferred(**OF_MERCHANT, payout=FIRST, amount=eur(40_00), transfer="t-1"),
    ),
    (
        "merchant",
        PayoutPrepared(**OF_MERCHANT, payout=SECOND, amount=eur(57_10), balance=eur(0)),
    ),
)
STORIES = {
    "sold": sold,
    "paid off": [*sold, *paid_off],
    "came back": [*sold, *paid_off, *came_back],
    "taken back": [*sold, *paid_off, *reverted],
    "paid out": [*sold, *paid_out],
}


async def happened(place: Place, story: Sequence[tuple[str, Event]]) -> None:
    ids = {"merchant": MERCHANT, "transfer": FIRST}
    for category, event in story:
        await place.append(f"{category}-{ids.get(category, ORDER)}", event)


async def booked(place: Place, *streams: Sequence[tuple[str, Event]]) -> None:
    for story in streams:
        await happened(place, story)
    await catch_up(place.pool, finance.CONSUMER, HANDRAIL.codec)


async def balances(place: Place) -> dict[tuple[str, str], int]:
    found = await place.sql(
        "SELECT account, party, sum(amount)::bigint FROM ledger_lines GROUP BY account, party"
        " HAVING sum(amount) <> 0"
    )
    return {(account, party): amount for account, party, amount in found}


@pytest.fixture
async def place(database_with_read_models: str) -> AsyncIterator[Place]:
    """With the read models, which `verify` holds against the events."""
    async with a_place(database_with_read_models) as one:
        yield one


async def proved(place: Place) -> Mapping[str, Sequence[str]]:
    return (await prove(place.url, None, None)).violations


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", STORIES)
async def test_it_says_what_settlement_and_payments_say(place: Place, name: str) -> None:
    await booked(place, STORIES[name])

    assert (await proved(place))["ledger_agrees"] == []
    assert await balances(place)
    assert await place.parked("finance") == []
    assert sum((await balances(place)).values()) == 0


async def test_an_order_that_was_paid_off_leaves_cash_and_our_fees(place: Place) -> None:
    settled = PlanSettled(order=ORDER, principal=eur(25_00), fees=eur(0), charge="ch-3")
    await booked(place, sold, paid_off, [("plan", settled)], paid_out)

    assert await balances(place) == {
        ("bank", ""): 100_00 + 10_00 - 40_00,
        ("payouts", SECOND): -57_10,
        ("merchant fees", ""): -2_90,
        ("late fees", ""): -10_00,
    }


async def test_what_came_back_costs_us_its_fee(place: Place) -> None:
    await booked(place, STORIES["came back"])

    assert await balances(place) == {
        ("bank", ""): 25_00 + 25_00 + 35_00 - 25_00,
        ("payable", MERCHANT): -48_55,
        ("merchant fees", ""): -2_90,
        ("returns", RETURN): 1_45,
        ("late fees", ""): -10_00,
    }


async def test_a_return_that_was_taken_back_leaves_nothing(place: Place) -> None:
    await booked(place, STORIES["taken back"])
    with_it = await balances(place)
    await place.sql("DELETE FROM ledger_lines WHERE about <> ''")

    assert await balances(place) == with_it


async def test_what_is_given_up_is_a_loss(place: Place) -> None:
    lost = PlanWrittenOff(order=ORDER, principal=eur(50_00), fees=eur(10_00))
    await booked(place, sold, paid_off[:3], [("plan", lost)])

    found = await balances(place)
    assert found["written off", ""] == 60_00
    assert not {"receivable", "fees receivable"} & {account for account, _ in found}


async def test_a_payment_that_is_given_back_or_disputed_is_no_longer_in_the_bank(
    place: Place,
) -> None:
    other = OrderId("o2")
    await booked(
        place,
        [("payment", PaymentCaptured(order=ORDER, amount=eur(10_00), capture="c"))],
        [("payment", PaymentRefunded(order=ORDER, amount=eur(10_00)))],
        [("payment", PaymentDisputed(order=other, dispute="d", amount=eur(3_00)))],
    )

    assert await balances(place) == {("bank", ""): -3_00, ("disputed", other): 3_00}


async def test_what_takes_back_nothing_waits_for_a_person(place: Place) -> None:
    await booked(place, sold, reverted[1:])

    [(id_, cause)] = await place.parked("finance")
    assert (id_, cause) == (f"plan-{ORDER}/2", f"NothingToRevert: no entry about {RETURN}")
    assert (await proved(place))["no_message_parked"]


def test_figures_that_do_not_add_up_are_not_booked() -> None:
    with pytest.raises(Unbalanced):
        lines_of(replace(adjusted, value=eur(51_00)))
    with pytest.raises(Unbalanced):
        lines_of(replace(adjusted, refund=Money(25_00, "USD")))


def test_every_event_that_finance_wants_has_an_entry() -> None:
    told = {type(event) for story in STORIES.values() for _, event in story}
    told |= {PlanSettled, PlanWrittenOff, PaymentRefunded, PaymentDisputed}
    assert set(finance.CONSUMER.wants) <= told


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE ledger_lines SET amount = amount + 1 WHERE account = 'payable'",
        "UPDATE ledger_lines SET amount = amount + 1 WHERE account = 'bank'",
        "UPDATE ledger_lines SET party = 'x' WHERE account = 'receivable'",
        "UPDATE ledger_lines SET party = 'x' WHERE account = 'payable'",
        "UPDATE ledger_lines SET account = 'bank' WHERE account = 'fees receivable'",
        "DELETE FROM ledger_lines WHERE event LIKE 'merchant-%'",
    ],
)
async def test_a_ledger_that_says_something_else_is_seen(place: Place, broken: str) -> None:
    await booked(place, sold, paid_off[:3])
    assert (await proved(place))["ledger_agrees"] == []

    await place.sql(broken)

    assert (await proved(place))["ledger_agrees"]


async def test_as_long_as_finance_is_behind_it_is_not_judged(place: Place) -> None:
    await booked(place, sold)
    await happened(place, paid_off)
    await happened(place, paid_out)

    assert (await proved(place))["ledger_agrees"] == []

"""Instalments, refunds and payouts: what the bank moved is what our books tell of, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession
from temporalio.exceptions import ApplicationError

from activities.payments.activities import activities
from activities.payments.gateway import HttpBank
from activities.queries import Reading
from domain.identifiers import OrderId, PayoutId, ReturnId
from domain.ordering.events import OrderPlaced, ReturnLine
from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from domain.payments.commands import (
    AdjustPlan,
    CollectInstalment,
    OpenPlan,
    RefundPayment,
    RevertAdjustment,
    SettleEarly,
    TransferPayout,
)
from handrail.errors import UnknownAggregate
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.kernel import Money, stream_name
from handrail.replies import Reply
from handrail.sagas.step_keys import NOT_DONE, StepContext, StepKey
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from tests.activities.served_commands import Run, runner_of
from tests.controls import a_customer, a_line, a_merchant, an_order, an_order_id, eur, readable_id
from tests.unencrypted import a_client, company

COLLECT = "CollectInstalment"
RETURN = ReturnId("r1")


async def nothing() -> None:
    pass


@dataclass
class Watched(HttpBank):
    """The bank, and something that happens just after it charged."""

    session: ClientSession
    client: httpx.AsyncClient
    meanwhile: Callable[[], Awaitable[Any]] = nothing

    def __post_init__(self) -> None:
        super().__init__(company(self.session, self.client))

    async def charge(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        reply = await super().charge(key=key, order=order, amount=amount, card=card)
        meanwhile, self.meanwhile = self.meanwhile, nothing
        await meanwhile()
        return reply

    async def states(self, kind: str = "charges") -> list[str]:
        return [one["state"] for one in (await self.client.get("/ledger")).json()[kind]]


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with open_pool(database, role="handrail_app") as pool:
        yield EventStore(pool, HANDRAIL.codec)


@pytest.fixture
async def bank(session: ClientSession) -> AsyncIterator[Watched]:
    async with (
        served(create_bank(None)) as address,
        a_client(address) as client,
    ):
        yield Watched(session, client)


def asked(step: str = COLLECT, *, closes: tuple[str, ...] = (), ask: int = 1) -> StepContext:
    key = StepKey(
        saga=readable_id("saga"), attempt=1, step=step, opened_on=date(2026, 3, 2), ask=ask
    )
    return StepContext(key=key, actor="tests", closes=closes)


async def a_plan(plans: Run) -> OrderId:
    order = an_order_id()
    opened = OpenPlan(
        order=order,
        customer=a_customer(),
        financed=eur(60),
        instalments=2,
        card="card_ok",
        first_due=date(2026, 4, 2),
    )
    await plans(opened, asked("OpenPlan"))
    return order


def collect(order: OrderId, amount: int = 30) -> CollectInstalment:
    return CollectInstalment(order=order, number=1, amount=eur(amount), card="card_ok")


def settle(order: OrderId, amount: int = 60) -> SettleEarly:
    return SettleEarly(order=order, amount=eur(amount), card="card_ok")


async def test_an_instalment_is_charged_once_however_often_it_is_asked_for(
    store: EventStore, bank: Watched
) -> None:
    plans, context = runner_of(activities(store, bank)), asked()
    order = await a_plan(plans)
    first = await plans(collect(order), context)
    assert (first.status, first.outcome) == ("done", "InstalmentCollected")
    assert (await plans(collect(order), context)).outcome == "InstalmentCollected"
    assert await bank.states() == ["captured"]


async def test_another_amount_certainly_moves_nothing(store: EventStore, bank: Watched) -> None:
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    with pytest.raises(ApplicationError) as broken:
        await plans(collect(order, 29), asked())
    assert (broken.value.type, broken.value.details) == ("ContentDiffers", (NOT_DONE,))
    assert await bank.states() == []


async def test_what_a_return_took_off_the_plan_is_not_collected_as_if_it_was_paid(
    store: EventStore, bank: Watched
) -> None:
    """The saga would give the credit back, and have completed once what was taken off is due."""
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    taken = AdjustPlan(order=order, return_id=RETURN, value=eur(90), absorbed=eur(60))
    await plans(taken, asked("AdjustPlan"))
    for wish in (plans(collect(order), asked()), plans(settle(order), asked())):
        with pytest.raises(ApplicationError) as broken:
            await wish
        assert (broken.value.type, broken.value.details) == ("OutOfOrder", (NOT_DONE,))
    assert await bank.states() == []
    back = RevertAdjustment(order=order, return_id=RETURN)
    await plans(back, asked("RevertAdjustment"))
    assert (await plans(collect(order), asked())).outcome == "InstalmentCollected"


async def test_a_charge_for_what_was_paid_meanwhile_is_given_back(
    store: EventStore, bank: Watched
) -> None:
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    bank.meanwhile = lambda: plans(settle(order), asked("SettleEarly"))
    answer = await plans(collect(order), asked())
    assert (answer.status, answer.outcome) == ("done", "")
    assert await bank.states() == ["refunded", "captured"]


async def test_a_settlement_of_a_plan_that_moved_on_is_given_back(
    store: EventStore, bank: Watched
) -> None:
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    bank.meanwhile = lambda: plans(collect(order), asked())
    with pytest.raises(ApplicationError) as broken:
        await plans(settle(order), asked("SettleEarly"))
    assert (broken.value.type, broken.value.details) == ("ContentDiffers", (NOT_DONE,))
    assert await bank.states() == ["refunded", "captured"]


async def test_a_try_that_charged_and_stored_nothing_is_given_back_when_the_plan_moved_on(
    store: EventStore, bank: Watched
) -> None:
    plans, context = runner_of(activities(store, bank)), asked()
    order = await a_plan(plans)
    await bank.charge(key=str(context.key), order=order, amount=eur(30), card="card_ok")
    await plans(settle(order), asked("SettleEarly"))
    assert (await plans(collect(order), context)).outcome == ""
    assert await bank.states() == ["refunded", "captured"]


async def test_what_was_asked_before_is_shut_before_it_is_asked_anew(
    store: EventStore, bank: Watched
) -> None:
    plans, context = runner_of(activities(store, bank)), asked(ask=2, closes=(COLLECT,))
    order = await a_plan(plans)
    before = str(replace(context.key, ask=1))
    await bank.charge(key=before, order=order, amount=eur(30), card="card_ok")
    answer = await plans(collect(order), context)
    assert answer.outcome == "InstalmentCollected"
    assert await bank.states() == ["refunded", "captured"]


async def test_a_charge_that_lands_behind_a_shut_door_is_given_back(
    store: EventStore, bank: Watched
) -> None:
    plans, context = runner_of(activities(store, bank)), asked()
    order = await a_plan(plans)
    shut = replace(context, key=replace(context.key, step="Other"), closes=(COLLECT,))
    await store.append([("saga-x", ANY_VERSION, [])], context=shut, answer={})
    with pytest.raises(ApplicationError) as closed:
        await plans(collect(order), context)
    assert closed.value.type == "StepClosed"
    assert await bank.states() == ["refunded"]


async def test_a_return_is_refunded_by_the_bank_and_nothing_is_not(
    store: EventStore, bank: Watched
) -> None:
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    await plans(settle(order), asked("SettleEarly"))
    adjust = AdjustPlan(order=order, return_id=RETURN, value=eur(20), absorbed=eur(0))
    await plans(adjust, asked("AdjustPlan"))
    refund = RefundPayment(order=order, return_id=RETURN, amount=eur(20))
    assert (await plans(refund, asked("RefundPayment"))).outcome == "RefundPaid"

    other = await a_plan(plans)
    adjust = AdjustPlan(order=other, return_id=RETURN, value=eur(20), absorbed=eur(20))
    await plans(adjust, asked("AdjustPlan"))
    refund = RefundPayment(order=other, return_id=RETURN, amount=eur(0))
    assert (await plans(refund, asked("RefundPayment"))).outcome == "RefundPaid"
    assert await bank.states("refunds") == ["paid"]


async def test_more_than_was_taken_is_declined_and_stored(store: EventStore, bank: Watched) -> None:
    plans = runner_of(activities(store, bank))
    order = await a_plan(plans)
    adjust = AdjustPlan(order=order, return_id=RETURN, value=eur(80), absorbed=eur(60))
    await plans(adjust, asked("AdjustPlan"))
    refund = RefundPayment(order=order, return_id=RETURN, amount=eur(20))
    answer = await plans(refund, asked("RefundPayment"))
    assert (answer.status, answer.outcome) == ("refused", "RefundDeclined")
    assert "over_captured" in answer.reason


async def test_a_payout_is_transferred_once(store: EventStore, bank: Watched) -> None:
    transfers, context = runner_of(activities(store, bank)), asked("TransferPayout")
    payout = PayoutId(readable_id("payout"))
    command = TransferPayout(payout=payout, merchant=a_merchant(), amount=eur(97))
    assert (await transfers(command, context)).outcome == "PayoutTransferred"
    assert (await transfers(command, context)).outcome == "PayoutTransferred"
    assert (await transfers(command, asked("TransferPayout"))).outcome == ""
    assert await bank.states("payouts") == ["paid"]


async def test_a_plan_is_read_as_it_is(store: EventStore, bank: Watched) -> None:
    plans, reading = runner_of(activities(store, bank)), Reading(store)
    order = await a_plan(plans)
    await plans(collect(order), asked())
    found = await reading.plan(order)
    assert (found.status, found.outstanding, found.paid_principal) == ("open", eur(30), eur(30))
    assert (await reading.plan("order-nobody-knows")).status == "none"


async def test_a_return_is_quoted_as_it_would_be_now(store: EventStore, bank: Watched) -> None:
    line = a_line(quantity=2, price=40)
    placed = an_order(lines=(line,))
    await store.append(
        [(stream_name("order", placed.order), 0, [OrderPlaced(**vars(placed))])],
    )
    of = QuoteReturnOf(
        order=placed.order, lines=(ReturnLine(sku=line.sku, quantity=1),), why="returned"
    )
    reading, plans = Reading(store), runner_of(activities(store, bank))
    unfinanced = await reading.quote(of)
    assert unfinanced == ReturnQuote(
        lines=of.lines,
        delivered=False,
        customer=placed.customer,
        merchant=placed.merchant,
        value=eur(40),
        absorbed=eur(0),
        refund=eur(40),
    )
    opened = OpenPlan(
        order=placed.order,
        customer=placed.customer,
        financed=eur(30),
        instalments=1,
        card="card_ok",
        first_due=date(2026, 4, 2),
    )
    await plans(opened, asked("OpenPlan"))
    quote = await reading.quote(of)
    assert (quote.absorbed, quote.refund) == (eur(30), eur(10))
    everything = await reading.quote(replace(of, lines=()))
    assert everything.lines == (ReturnLine(sku=line.sku, quantity=2),)
    assert (everything.absorbed, everything.refund) == (eur(30), eur(50))


async def test_a_return_of_an_order_that_nobody_placed_has_no_quote(store: EventStore) -> None:
    of = QuoteReturnOf(order=an_order_id(), lines=(), why="lost")
    with pytest.raises(UnknownAggregate):
        await Reading(store).quote(of)

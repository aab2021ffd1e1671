"""The evidence: what the event store, the fence, the bank and the carrier hold of one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import httpx

from domain.credit import credit_line
from domain.inventory import stock
from domain.ordering import order
from domain.payments import payment
from domain.settlement import merchant_account
from domain.shipping import shipment
from handrail.eventstore.pool import Pool
from handrail.kernel import Event, Money, stream_name
from handrail.sagas.events import SagaEnded, SagaEvent, StepCompensated, StepDone, StepUnknown
from runtime.app import HANDRAIL
from workflows.checkout import Checkout, saga

EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True)
class FenceRow:
    answered: bool
    closed: bool


@dataclass(frozen=True)
class Books:
    checkout: Checkout
    story: Sequence[SagaEvent]
    order: order.Order
    stock: stock.StockItem
    credit: credit_line.CreditLine
    payment: payment.Payment
    shipment: shipment.Shipment
    merchant: merchant_account.MerchantAccount
    bank: Sequence[Mapping[str, Any]]
    carrier: Sequence[Mapping[str, Any]]
    fence: Mapping[tuple[str, str], FenceRow]

    def told(self, kind: type[EventT], step: str = "") -> list[EventT]:
        """The events of a kind in the saga's own stream, those of one step or all."""
        found = [event for event in self.story if isinstance(event, kind)]
        return [event for event in found if not step or getattr(event, "step", "") == step]

    @property
    def ended(self) -> SagaEnded:
        [ended] = self.told(SagaEnded)
        return ended

    @property
    def undone(self) -> list[str]:
        return [event.step for event in self.told(StepCompensated)]

    @property
    def bank_states(self) -> list[str]:
        return [one["state"] for one in self.bank]


async def read_books(
    pool: Pool, bank: httpx.AsyncClient, carrier: httpx.AsyncClient, checkout: Checkout
) -> Books:
    """Of the first line of the order only: the others are served like it."""
    o = checkout
    item = stock.stream_id(o.merchant, o.lines[0].sku)
    streams = {
        "saga": stream_name("saga", o.order),
        "order": stream_name(order.CATEGORY, o.order),
        "stock": stream_name(stock.CATEGORY, item),
        "credit": stream_name(credit_line.CATEGORY, o.customer),
        "payment": stream_name(payment.CATEGORY, o.order),
        "shipment": stream_name(shipment.CATEGORY, o.order),
        "merchant": stream_name(merchant_account.CATEGORY, o.merchant),
    }
    events: dict[str, list[Any]] = {name: [] for name in streams.values()}
    async with pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stream, type, schema, data FROM events WHERE stream = ANY(%s)"
            " ORDER BY stream, version",
            (list(events),),
        )
        for stream, type_, schema, data in await rows.fetchall():
            events[stream].append(HANDRAIL.codec.decode(type_, schema, data))
        rows = await connection.execute(
            "SELECT step, direction, answer IS NOT NULL, closed FROM commands"
            " WHERE saga = %s AND step NOT LIKE 'journal:%%'",
            (o.order,),
        )
        fence = {
            (step, direction): FenceRow(answered, closed)
            for step, direction, answered, closed in await rows.fetchall()
        }
    of = {name: events[stream] for name, stream in streams.items()}
    held = (await bank.get("/ledger")).json()["authorisations"]
    booked = (await carrier.get("/ledger")).json()["bookings"]
    return Books(
        checkout=o,
        story=of["saga"],
        order=reduce(order.evolve, of["order"], order.Order()),
        stock=reduce(stock.evolve, of["stock"], stock.StockItem()),
        credit=reduce(credit_line.evolve, of["credit"], credit_line.CreditLine()),
        payment=reduce(payment.evolve, of["payment"], payment.Payment()),
        shipment=reduce(shipment.evolve, of["shipment"], shipment.Shipment()),
        merchant=reduce(
            merchant_account.evolve, of["merchant"], merchant_account.MerchantAccount()
        ),
        bank=[one for one in held if one["order"] == o.order],
        carrier=[one for one in booked if one["order"] == o.order],
        fence=fence,
    )


def assert_clean_slate(books: Books, *, stock_before: int) -> None:
    """All that was promised is either kept or given back, and nobody holds anything more."""
    if books.ended.ending == "completed":
        _assert_all_kept(books, stock_before)
    else:
        _assert_nothing_left(books, stock_before)


def _assert_all_kept(books: Books, stock_before: int) -> None:
    o = books.checkout
    wanted = o.lines[0].quantity
    assert sorted(one.step for one in books.told(StepDone)) == sorted(saga(o).names)
    assert books.undone == []
    assert (books.stock.available, books.stock.reserved) == (stock_before - wanted, wanted)
    [authorisation] = books.bank
    paid = Money(authorisation["amount"], authorisation["currency"])
    assert authorisation["state"] == books.payment.status == "captured"
    assert books.credit.holds == {}
    assert books.credit.debts == {o.order: o.total - paid}
    assert books.order.status == "confirmed"
    assert list(books.merchant.unpaid) == [o.order]
    assert [one["state"] for one in books.carrier] == [books.shipment.status] == ["booked"]
    assert not any(row.closed for row in books.fence.values())


def _assert_nothing_left(books: Books, stock_before: int) -> None:
    o = books.checkout
    assert (books.stock.available, books.stock.reserved) == (stock_before, 0)
    assert books.credit.holds == books.credit.debts == {}
    assert not {"authorised", "captured"} & {*books.bank_states, books.payment.status}
    assert books.order.status in {"unknown", "rejected"}
    assert books.merchant.unpaid == {}
    assert {one["state"] for one in books.carrier} <= {"cancelled"}
    plan = saga(o)
    undoable = [step.name for group in plan.groups for step in group]
    begun = {one.step for one in books.told(StepDone)} | {
        one.step for one in books.told(StepUnknown)
    }
    assert sorted(books.undone) == sorted(begun.intersection(undoable))
    for step in books.undone:
        assert books.fence[step, "do"].closed
        assert books.fence[step, "undo"].answered
    newest_first = [undoable.index(step) for step in books.undone]
    side_by_side = {step.name: n for n, group in enumerate(plan.groups) for step in group}
    groups = [side_by_side[undoable[index]] for index in newest_first]
    assert groups == sorted(groups, reverse=True), books.undone

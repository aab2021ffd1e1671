"""A command becomes events once, whatever this process remembers and whoever else is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from aiohttp import ClientSession
from temporalio.exceptions import ApplicationError

from activities import credit, inventory, ordering
from activities.settlement import activities as settlement
from activities.settlement.gateway import HttpRegistry
from domain.credit import credit_line
from domain.credit.commands import (
    AssignLimit,
    ConsumeCredit,
    HoldCredit,
    ReleaseCredit,
    RestoreCredit,
)
from domain.credit.credit_line import CreditLine
from domain.credit.events import CreditHeld, CreditRefused, LimitAssigned
from domain.inventory.commands import ReceiveStock, ReserveStock, StockLine
from domain.payments.commands import CapturePayment
from domain.settlement.commands import AccruePayable, OpenMerchantAccount
from handrail.activities import command_handler as handling
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, HotStream, single_stream
from handrail.activities.http_gateway import HttpGateway
from handrail.errors import OutOfOrder
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import Appended, EventStore, Loaded, StepClosed, VersionConflict
from handrail.kernel import Command, Event
from handrail.sagas.step_keys import NOT_DONE, Answer, StepContext, StepKey
from runtime.app import HANDRAIL
from tests.controls import a_customer, a_merchant, a_sku, an_order, an_order_id, eur, readable_id

CUSTOMER = a_customer()
LINE = f"credit-{CUSTOMER}"
TODAY = date(2026, 3, 2)


class Watched(EventStore):
    """A store that remembers how it was used, and can have somebody else be faster."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, HANDRAIL.codec)
        self.pool = pool
        self.loads: list[Mapping[str, Loaded]] = []
        self.appends = 0
        self.others_are_faster = 0

    async def load(self, streams: Mapping[str, int], revision: str = "") -> Mapping[str, Loaded]:
        self.loads.append(await super().load(streams, revision))
        return self.loads[-1]

    async def append(
        self, appends: Sequence[tuple[str, int | None, Sequence[Event]]], **how: Any
    ) -> Appended:
        self.appends += 1
        if self.appends <= self.others_are_faster:
            raise VersionConflict
        return await super().append(appends, **how)

    async def told(self, stream: str) -> Sequence[Event]:
        return (await super().load({stream: 0}))[stream].events

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Watched]:
    async with open_pool(database, role="handrail_app") as pool:
        yield Watched(pool)


def a_process(store: EventStore) -> CommandHandler[CreditLine]:
    """With a memory of its own."""
    lines = single_stream(
        credit_line.CATEGORY,
        CreditLine(),
        lambda message: message.customer,
        credit_line.decide,
        credit_line.evolve,
    )
    return CommandHandler(store, lines)


def asked(step: str = "HoldCredit", *, saga: str = "", **more: Any) -> StepContext:
    key = StepKey(saga=saga or readable_id("saga"), attempt=1, step=step, opened_on=TODAY)
    return StepContext(key=key, actor="tests", **more)


def undo_of(context: StepContext) -> StepContext:
    return replace(context, key=replace(context.key, direction="undo"), closes=(context.key.step,))


def hold(cents: int) -> HoldCredit:
    return HoldCredit(customer=CUSTOMER, order=an_order_id(), amount=eur(cents))


def limit(cents: int) -> AssignLimit:
    return AssignLimit(customer=CUSTOMER, limit=eur(cents))


async def serves(activities: Sequence[Any], command: Command, context: StepContext) -> Answer:
    """The activity of that command, outside of Temporal."""
    by_name = {one.__temporal_activity_definition.name: one for one in activities}
    answer: Answer = await by_name[type(command).__name__](command, context)
    return answer


async def test_a_state_that_another_process_changed_is_loaded_again(store: Watched) -> None:
    here, there = a_process(store), a_process(store)
    await here.handle(limit(100), asked())
    await there.handle(hold(60), asked())
    answer = await here.handle(hold(60), asked())
    assert (answer.status, answer.outcome) == ("refused", "CreditRefused")
    refused = (await store.told(LINE))[-1]
    assert isinstance(refused, CreditRefused)
    assert refused.missing == eur(20)


async def test_a_refusal_out_of_an_old_memory_is_decided_anew(store: Watched) -> None:
    here, there = a_process(store), a_process(store)
    await here.handle(limit(100), asked())
    await there.handle(limit(500), asked())
    assert (await here.handle(hold(300), asked())).outcome == "CreditHeld"


async def test_nothing_to_do_out_of_an_old_memory_is_decided_anew(store: Watched) -> None:
    here, there, command = a_process(store), a_process(store), hold(60)
    await here.handle(limit(100), asked())
    await here.handle(command, asked())
    released = ReleaseCredit(customer=CUSTOMER, order=command.order)
    await there.handle(released, asked("Release"))
    assert (await here.handle(command, asked())).outcome == "CreditHeld"


async def test_a_rule_broken_only_in_an_old_memory_is_not_broken(
    store: Watched, session: ClientSession
) -> None:
    registry = HttpRegistry(HttpGateway(session, "http://nobody.example"))
    here, there = settlement.activities(store, registry), settlement.activities(store, registry)
    merchant = a_merchant()
    accrue = AccruePayable(merchant=merchant, order=an_order_id(), gross=eur(100))
    with pytest.raises(ApplicationError, match="create it first"):
        await serves(here, accrue, asked())
    opened = OpenMerchantAccount(merchant=merchant, currency="EUR", fee_bps=250)
    await serves(there, opened, asked())
    assert (await serves(here, accrue, asked())).outcome == "PayableAccrued"


async def test_a_hot_stream_is_tried_until_it_works(
    store: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "LONGEST_PAUSE", 0)
    store.others_are_faster = handling.TRIES - 1
    assert (await a_process(store).handle(limit(100), asked())).outcome == "LimitAssigned"


async def test_a_stream_that_stays_hot_is_reported(
    store: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "LONGEST_PAUSE", 0)
    store.others_are_faster = handling.TRIES
    with pytest.raises(HotStream, match=f"AssignLimit on {LINE}, {handling.TRIES} times"):
        await a_process(store).handle(limit(100), asked())
    assert store.appends == handling.TRIES


async def test_commands_of_one_process_wait_for_each_other_instead_of_colliding(
    store: Watched,
) -> None:
    here = a_process(store)
    await here.handle(limit(100), asked())
    store.appends = 0
    answers = await asyncio.gather(*(here.handle(hold(10), asked()) for _ in range(15)))
    assert store.appends == 15
    assert [answer.outcome for answer in answers] == ["CreditHeld"] * 10 + ["CreditRefused"] * 5
    assert not here._turns


async def test_two_processes_together_never_promise_more_than_there_is(store: Watched) -> None:
    processes = [a_process(store), a_process(store)]
    await processes[0].handle(limit(100), asked())
    answers = await asyncio.gather(
        *(process.handle(hold(10), asked()) for _ in range(8) for process in processes)
    )
    assert sum(answer.status == "done" for answer in answers) == 10
    held = [event for event in await store.told(LINE) if isinstance(event, CreditHeld)]
    assert held[-1].held == eur(100)


async def test_a_command_asked_again_answers_what_it_answered_first(store: Watched) -> None:
    here, there, command, context = a_process(store), a_process(store), hold(60), asked()
    await here.handle(limit(100), asked())
    first = await here.handle(command, context)
    assert await here.handle(command, context) == first
    assert await there.handle(command, context) == first
    assert len(await store.told(LINE)) == 2


async def test_a_command_asked_again_is_not_held_against_what_happened_since(
    store: Watched,
) -> None:
    here, command, consumed = a_process(store), hold(60), asked("ConsumeCredit")
    consume = ConsumeCredit(customer=CUSTOMER, order=command.order)
    await here.handle(limit(100), asked())
    await here.handle(command, asked())
    first = await here.handle(consume, consumed)
    given_back = RestoreCredit(
        customer=CUSTOMER, order=command.order, payment="return-1", amount=eur(60)
    )
    await here.handle(given_back, asked("Restore"))
    assert await a_process(store).handle(consume, consumed) == first
    with pytest.raises(OutOfOrder):
        await here.handle(consume, asked("ConsumeCredit"))


async def test_a_command_that_comes_after_its_undo_is_refused(store: Watched) -> None:
    here, command, context = a_process(store), hold(60), asked()
    await here.handle(limit(100), asked())
    released = ReleaseCredit(customer=CUSTOMER, order=command.order)
    assert (await here.handle(released, undo_of(context))).outcome == ""
    with pytest.raises(StepClosed):
        await here.handle(command, context)
    assert len(await store.told(LINE)) == 1


async def test_a_long_stream_is_loaded_from_its_snapshot(store: Watched) -> None:
    await a_process(store).handle(limit(1), asked())
    limits = [
        LimitAssigned(customer=CUSTOMER, limit=eur(cents), held=eur(0), used=eur(0))
        for cents in range(2, handling.SNAPSHOT_EVERY)
    ]
    await store.append([(LINE, 1, limits)])
    await a_process(store).handle(limit(1_000), asked())
    assert await store.rows("SELECT stream, version FROM state_snapshots") == [
        (LINE, handling.SNAPSHOT_EVERY)
    ]
    await a_process(store).handle(hold(1_000), asked())
    loaded = store.loads[-1][LINE]
    assert loaded.snapshot is not None
    assert loaded.events == []


async def test_a_snapshot_of_another_form_is_passed_over(store: Watched) -> None:
    state = b'{"what": "an older version kept"}'
    await a_process(store).handle(limit(100), asked())
    await store.save_snapshot(LINE, 1, "another", state)
    assert (await a_process(store).handle(hold(100), asked())).outcome == "CreditHeld"
    loaded = store.loads[-1][LINE]
    assert (loaded.snapshot, len(loaded.events)) == (None, 1)


async def test_what_begins_a_stream_is_done_without_a_load(store: Watched) -> None:
    answer = await serves(ordering.activities(store), an_order(), asked("PlaceOrder"))
    assert answer.outcome == "OrderPlaced"
    assert (len(store.loads), store.appends) == (0, 1)


async def test_what_was_wrongly_taken_for_a_beginning_is_decided_anew(store: Watched) -> None:
    order = an_order()
    await serves(ordering.activities(store), order, asked("PlaceOrder"))
    store.appends = 0
    again = await serves(ordering.activities(store), order, asked("PlaceOrder"))
    assert (again.status, again.outcome) == ("done", "")
    assert (len(store.loads), store.appends) == (1, 2)


async def test_of_several_streams_all_change_or_none(store: Watched) -> None:
    here, merchant = inventory.activities(store), a_merchant()
    plenty, few = a_sku(), a_sku()
    for sku, quantity in ((plenty, 10), (few, 1)):
        received = ReceiveStock(merchant=merchant, sku=sku, delivery="first", quantity=quantity)
        await serves(here, received, asked("ReceiveStock"))
    lines = tuple(StockLine(sku=sku, quantity=2) for sku in (plenty, few))
    wanted = ReserveStock(order=an_order_id(), merchant=merchant, lines=lines)
    assert (await serves(here, wanted, asked())).status == "refused"
    assert len(await store.told(f"stock-{merchant}:{plenty}")) == 1


async def test_streams_named_in_another_order_do_not_block_each_other(store: Watched) -> None:
    processes = [inventory.activities(store), inventory.activities(store)]
    merchant, skus = a_merchant(), [a_sku(), a_sku()]
    for sku in skus:
        received = ReceiveStock(merchant=merchant, sku=sku, delivery="first", quantity=20)
        await serves(processes[0], received, asked())
    orders = [
        (process, ReserveStock(order=an_order_id(), merchant=merchant, lines=lines))
        for process, ordered in zip(processes * 5, [skus, skus[::-1]] * 5, strict=True)
        for lines in [tuple(StockLine(sku=sku, quantity=2) for sku in ordered)]
    ]
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(serves(*order, asked()) for order in orders))
    assert [answer.status for answer in answers] == ["done"] * 10


async def test_a_command_that_no_saga_asked_for_keeps_no_journal(store: Watched) -> None:
    alone = asked("AssignLimit", alone=True)
    first = await serves(credit.activities(store), limit(100), alone)
    assert await serves(credit.activities(store), limit(100), alone) == first
    assert await store.rows("SELECT name FROM streams") == [(LINE,)]


async def test_a_broken_rule_of_our_own_certainly_did_nothing(store: Watched) -> None:
    consume = ConsumeCredit(customer=CUSTOMER, order=an_order_id())
    with pytest.raises(ApplicationError) as broken:
        await serves(credit.activities(store), consume, asked())
    assert (broken.value.type, broken.value.non_retryable) == ("OutOfOrder", True)
    assert list(broken.value.details) == [NOT_DONE]


async def test_a_broken_rule_where_another_company_was_asked_is_no_certainty() -> None:
    async def breaks_a_rule(_: Command, __: StepContext) -> Answer:
        raise OutOfOrder

    capture = CapturePayment(order=an_order_id(), amount=eur(100))
    with pytest.raises(ApplicationError) as broken:
        await serve(CapturePayment, breaks_a_rule)(capture, asked())
    assert list(broken.value.details) == []


async def test_a_step_that_was_taken_back_is_never_tried_again(store: Watched) -> None:
    here, context, command = credit.activities(store), asked(), hold(60)
    released = ReleaseCredit(customer=CUSTOMER, order=command.order)
    await serves(here, released, undo_of(context))
    with pytest.raises(ApplicationError) as closed:
        await serves(here, command, context)
    assert (closed.value.type, closed.value.non_retryable) == ("StepClosed", True)

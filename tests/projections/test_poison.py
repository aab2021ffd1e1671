"""An event that cannot be applied holds up its own row, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from domain.identifiers import MerchantId, OrderId, Sku
from domain.inventory.events import StockReceived
from domain.ordering.events import OrderConfirmed, OrderPlaced
from domain.payments.events import PaymentAuthorised
from handrail.eventstore.codec import Codec, Encoded
from handrail.eventstore.tokens import UnknownProjection
from handrail.projections import parked_rows
from handrail.projections.fold import BEHIND
from handrail.projections.projection import Happened, Projection
from projections import order_status, stock_level
from projections.order_status import OrderStatus
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.projections.stories import Shop, placed
from tests.projections.world import World, nobody_can_write, stuck, until

ORDERS = order_status.PROJECTION
STOCK = stock_level.PROJECTION
BAD, GOOD = OrderId("bad"), OrderId("good")


def with_a_bug(row: OrderStatus | None, happened: Happened) -> OrderStatus | None:
    if happened.id == BAD and isinstance(happened.event, PaymentAuthorised):
        raise KeyError("nobody thought of this")
    return order_status.evolve(row, happened)


BUGGY: Projection[Any] = replace(ORDERS, evolve=with_a_bug)


async def authorised(world: World, order: OrderId) -> str:
    event = PaymentAuthorised(order=order, amount=eur(25_00), authorisation="a")
    return await world.append(f"payment-{order}", event)


async def parked(world: World) -> list[tuple[Any, ...]]:
    return await world.sql(
        "SELECT projection, stream, cause FROM parked_events ORDER BY projection, position"
    )


async def status(world: World) -> Mapping[str, tuple[str, str]]:
    rows = await world.rows(ORDERS)
    return {id_: (row["status"], row["payment"]) for id_, row in rows.items()}


async def a_poisoned_order(world: World) -> None:
    for order in (BAD, GOOD):
        await world.append(f"order-{order}", placed(order))
        await authorised(world, order)
        await world.append(f"order-{order}", OrderConfirmed(order=order))
    await world.catch_up([BUGGY, STOCK])


async def test_only_the_row_of_the_event_waits(world: World) -> None:
    await a_poisoned_order(world)

    assert await status(world) == {
        BAD: ("placed", "none"),
        GOOD: ("confirmed", "authorised"),
    }


async def test_what_comes_later_for_the_row_waits_behind_it_from_whatever_stream(
    world: World,
) -> None:
    await a_poisoned_order(world)
    await world.append(f"order-{BAD}", OrderConfirmed(order=BAD))
    await world.catch_up([BUGGY])

    assert await parked(world) == [
        ("order_status", "payment-bad", "KeyError: 'nobody thought of this'"),
        ("order_status", "order-bad", BEHIND),
        ("order_status", "order-bad", BEHIND),
    ]
    assert (await status(world))[BAD] == ("placed", "none")


async def test_the_checkpoint_moves_on(world: World) -> None:
    await a_poisoned_order(world)

    assert await world.seen_all("order_status")


async def test_once_the_bug_is_gone_the_row_is_worked_off_in_order(world: World) -> None:
    await a_poisoned_order(world)
    await authorised(world, GOOD)

    done = await world.retry("order_status", f"payment-{BAD}")
    await world.catch_up()

    assert (done.applied, done.stopped_by) == (2, None)
    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


@pytest.mark.thorough
async def test_a_retry_in_vain_stops_at_the_same_event(world: World) -> None:
    await a_poisoned_order(world)
    before = await parked(world)

    done = await world.retry("order_status", f"payment-{BAD}", [BUGGY])

    assert done.applied == 0
    assert done.stopped_by
    assert done.stopped_by.stream == "payment-bad"
    assert await parked(world) == before


async def test_a_retry_gets_as_far_as_it_can(world: World) -> None:
    await a_poisoned_order(world)
    await authorised(world, BAD)
    await world.catch_up([BUGGY])
    second = await world.value("SELECT max(position) FROM parked_events")

    def less_buggy(row: OrderStatus | None, happened: Happened) -> OrderStatus | None:
        return (
            with_a_bug(row, happened)
            if happened.position == second
            else order_status.evolve(row, happened)
        )

    done = await world.retry("order_status", f"order-{BAD}", [replace(ORDERS, evolve=less_buggy)])

    assert done.applied == 2
    assert (await status(world))[BAD] == ("confirmed", "authorised")
    [left] = await parked(world)
    assert left == ("order_status", "payment-bad", "KeyError: 'nobody thought of this'")


async def test_more_than_one_chunk_is_worked_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_poisoned_order(world)
    for _ in range(5):
        await authorised(world, BAD)
    await world.catch_up([BUGGY])
    monkeypatch.setattr("handrail.projections.retry_parked.CHUNK", 3)

    done = await world.retry("order_status", f"payment-{BAD}")

    assert (done.applied, await parked(world)) == (7, [])
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


async def test_new_events_of_the_row_are_applied_again_after_the_retry(world: World) -> None:
    await a_poisoned_order(world)
    await world.retry("order_status", f"payment-{BAD}")
    await world.append(f"order-{BAD}", OrderConfirmed(order=BAD))

    await world.catch_up()

    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


async def test_a_retry_of_an_unknown_projection_is_an_error(world: World) -> None:
    with pytest.raises(UnknownProjection):
        await world.retry("weather", "order-1")


async def test_a_retry_needs_the_code_of_the_read_model(world: World) -> None:
    with pytest.raises(UnknownProjection):
        await world.retry("order_status", "order-1", [replace(ORDERS, version=99)])


def received(sku: str, quantity: int) -> StockReceived:
    return StockReceived(
        merchant=MerchantId("bob"),
        sku=Sku(sku),
        delivery=str(quantity),
        quantity=quantity,
        available=1,
        reserved=0,
    )


class OlderCodec(Codec):
    """As events were encoded before their numbers were bounded: what is stored stays."""

    def _newest(self, message: object) -> Encoded:
        name = type(message).__name__
        return Encoded(name, self.version(name), self.adapter(type(message)).dump_json(message))


OLDER = OlderCodec.of(HANDRAIL.events)
TOO_MUCH = 2**62


@pytest.mark.quick(1)
@pytest.mark.parametrize("last", [TOO_MUCH, 2**64 - 1], ids=["in PostgreSQL", "in JSON"])
async def test_a_row_that_cannot_be_stored_parks_the_event_that_makes_it_so(
    world: World, last: int
) -> None:
    shop = Shop()
    for told in (("stock-bob:pot", received("pot", 1)), ("stock-bob:cup", received("cup", 1))):
        await world.append(*told)
    too_much = [received("cup", quantity) for quantity in (TOO_MUCH, last)]
    await world.append("stock-bob:cup", *too_much, codec=OLDER)
    for stream, events in chain(shop.opens(), shop.sells(OrderId("1"))):
        await world.append(stream, *events)
    await world.append("stock-bob:cup", received("cup", 2))

    await world.catch_up()

    levels = {id_: row["received"] for id_, row in (await world.rows(STOCK)).items()}
    assert levels == {"bob:pot": 1, "bob:cup": TOO_MUCH + 1, shop.item: 1_000_000}
    [(_, stream, cause), (_, behind, _)] = await parked(world)
    assert (stream, behind) == ("stock-bob:cup", "stock-bob:cup")
    assert cause.startswith(("NumericValueOutOfRange", "Unstorable"))
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


async def test_what_nobody_handles_may_be_undecodable(world: World) -> None:
    without = Codec.of(one for one in HANDRAIL.events if one is not OrderPlaced)
    await world.append("order-1", placed(OrderId("1")))

    await world.catch_up([STOCK], codec=without)

    assert await parked(world) == []
    assert await world.seen_all("stock_level")


async def test_what_is_parked_can_be_seen(world: World) -> None:
    await a_poisoned_order(world)

    async with world.engine.connect() as connection:
        [row] = await parked_rows.parked(connection)
        counts = await parked_rows.parked_counts(connection)

    assert (row.projection, row.id, row.stream, row.events) == (
        "order_status",
        "bad",
        "payment-bad",
        2,
    )
    assert row.cause == "KeyError: 'nobody thought of this'"
    assert counts == {"order_status": 2}


async def test_a_projector_that_reads_on_during_a_retry_waits_for_it(world: World) -> None:
    await a_poisoned_order(world)
    runner = world.runner(lease=600)
    async with world.pool.connection() as connection:
        await runner.tick(connection)
        async with nobody_can_write(world, "order_status"):
            retrying = asyncio.create_task(world.retry("order_status", f"payment-{BAD}"))
            await until(_are_stuck(world, 1))
            await world.append(f"order-{BAD}", OrderConfirmed(order=BAD))
            reading = asyncio.create_task(runner.tick(connection))
            await until(_are_stuck(world, 2))
        await retrying
        await reading

    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


def _are_stuck(world: World, count: int) -> Callable[[], Awaitable[bool]]:
    async def so_many() -> bool:
        return len(await stuck(world)) == count

    return so_many


async def test_a_database_that_is_at_fault_parks_nothing(world: World) -> None:
    await world.append("order-1", placed(OrderId("1")))
    await world.sql("ALTER TABLE order_status RENAME TO mislaid")

    await world.catch_up()

    assert await parked(world) == []
    assert not await world.seen_all("order_status")

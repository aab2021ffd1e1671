from __future__ import annotations

import asyncio

import psycopg
import pytest

from domain.credit.events import CreditHeld
from domain.identifiers import CustomerId, OrderId
from domain.ordering.events import OrderCompleted, OrderConfirmed
from handrail.eventstore.store import shard_of
from handrail.eventstore.tokens import (
    BadToken,
    NotYetSeen,
    RowParked,
    UnknownProjection,
    wait_until_seen,
)
from handrail.kernel import Event
from handrail.projections.fold import BEHIND
from handrail.projections.projection import id_of
from tests.controls import NOON, eur
from tests.projections.stories import Shop, placed
from tests.projections.world import World
from tests.statements import statements_of

ORDER = OrderId("1")


async def test_a_read_with_the_token_sees_what_was_written(world: World) -> None:
    async with world.running(world.runner()):
        for number in range(20):
            order = OrderId(f"o{number}")
            token = await world.append(f"order-{order}", placed(order))
            await wait_until_seen(world.engine, "order_status", token, id_=order)
            found = await world.value(
                'SELECT count(*) FROM order_status WHERE "order" = :order', order=order
            )
            assert found == 1


@pytest.mark.thorough
async def test_a_list_with_the_token_waits_for_all_shards(world: World) -> None:
    async with world.running(world.runner()):
        for number in range(20):
            order = OrderId(f"o{number}")
            token = await world.append(f"order-{order}", placed(order))
            await wait_until_seen(world.engine, "order_status", token)
            assert await world.value("SELECT count(*) FROM order_status") == number + 1


async def test_what_was_not_seen_in_time_is_said_so(world: World) -> None:
    await world.catch_up()
    token = await world.append("order-1", placed(ORDER))

    with pytest.raises(NotYetSeen):
        await wait_until_seen(world.engine, "order_status", token, id_=ORDER, timeout=0.05)


async def test_a_wait_ends_when_the_projection_comes_along(world: World) -> None:
    await world.catch_up()
    token = await world.append("order-1", placed(ORDER))
    waiting = asyncio.create_task(
        wait_until_seen(world.engine, "order_status", token, id_=ORDER, timeout=10)
    )
    await asyncio.sleep(0)
    assert not waiting.done()

    await world.catch_up()

    await waiting


async def test_only_the_shard_of_the_id_is_waited_for(world: World) -> None:
    await world.catch_up()
    await world.append("order-1", placed(ORDER))
    await world.catch_up()
    other = next(name for name in ("2", "3", "4") if shard_of(f"-{name}") != shard_of("-1"))
    token = await world.append(f"order-{other}", placed(OrderId(other)))

    await wait_until_seen(world.engine, "order_status", token, id_=ORDER, timeout=0.05)
    with pytest.raises(NotYetSeen):
        await wait_until_seen(world.engine, "order_status", token, timeout=0.05)


async def test_a_command_that_had_nothing_to_do_has_nothing_to_wait_for(world: World) -> None:
    shop = Shop()
    for stream, events in shop.opens():
        await world.append(stream, *events)
    await world.catch_up()
    token = str(await world.value("SELECT pg_current_xact_id()::text"))

    await wait_until_seen(world.engine, "order_status", token, timeout=0.05)


async def test_but_it_waits_for_what_was_written_before(world: World) -> None:
    await world.catch_up()
    await world.append("order-1", placed(ORDER))
    token = str(await world.value("SELECT pg_current_xact_id()::text"))

    with pytest.raises(NotYetSeen):
        await wait_until_seen(world.engine, "order_status", token, id_=ORDER, timeout=0.05)


@pytest.mark.thorough
async def test_an_append_that_began_early_and_ended_late_is_waited_for(
    database: str, world: World
) -> None:
    async with await psycopg.AsyncConnection.connect(database) as slow:
        found = await slow.execute("SELECT pg_current_xact_id()::text")
        [token] = await found.fetchone() or [""]
        await world.append("order-2", placed(OrderId("2")))
        await world.catch_up()  # its snapshots know that the slow one is still under way
        await slow.execute(
            "WITH e AS (INSERT INTO events (stream, version, shard, type, schema, data, metadata)"
            " SELECT 'order-1', 1, (SELECT shard FROM events LIMIT 1), 'OrderPlaced', 1, '{}', '{}'"
            " RETURNING position, txid, shard) INSERT INTO outbox SELECT * FROM e"
        )
        await slow.commit()

        with pytest.raises(NotYetSeen):
            await wait_until_seen(world.engine, "order_status", token, timeout=0.05)


async def test_what_is_no_token_is_refused_at_once(world: World) -> None:
    for token in ("", "0", "-1", "1.5", "abc", "99999999999999999999", "12; --"):
        with pytest.raises(BadToken):
            await wait_until_seen(world.engine, "order_status", token, timeout=60)


async def test_a_projection_that_has_only_begun_has_seen_nothing(world: World) -> None:
    token = await world.append("order-1", placed(ORDER))
    await world.sql("TRUNCATE outbox")  # pruned, as the others have seen it

    with pytest.raises(NotYetSeen):
        await wait_until_seen(world.engine, "order_status", token, timeout=0.05)


async def test_a_token_from_the_future_is_refused_at_once(world: World) -> None:
    newest = await world.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")

    with pytest.raises(BadToken):
        await wait_until_seen(world.engine, "order_status", str(int(newest) + 1000), timeout=60)


async def test_an_unknown_projection_is_refused_at_once(world: World) -> None:
    with pytest.raises(UnknownProjection):
        await wait_until_seen(world.engine, "weather", "5", timeout=60)


@pytest.mark.parametrize(
    ("projection", "stream", "event"),
    [
        ("order_status", "order-7", OrderConfirmed(order=OrderId("7"))),
        ("order_status", "order-8", OrderCompleted(order=OrderId("8"), completed_at=NOON)),
        (
            "customer_account",
            "credit-ann",
            CreditHeld(
                customer=CustomerId("ann"),
                order=OrderId("o"),
                amount=eur(1),
                held=eur(1),
                used=eur(0),
            ),
        ),
    ],
    ids=["order confirmed", "order completed", "credit held"],
)
async def test_a_token_of_a_parked_event_is_never_seen(
    world: World, projection: str, stream: str, event: Event
) -> None:
    token = await world.append(stream, event)
    await world.catch_up()

    with pytest.raises(RowParked, match=f"{stream} at position [0-9]+: OutOfPlace"):
        await wait_until_seen(world.engine, projection, token, id_=id_of(stream))
    with pytest.raises(RowParked):
        await wait_until_seen(world.engine, projection, token)


async def test_what_waits_behind_a_parked_event_is_not_seen_either(world: World) -> None:
    await world.append("order-7", OrderConfirmed(order=OrderId("7")))
    await world.catch_up()
    token = await world.append("order-7", placed(OrderId("7")))
    await world.catch_up()

    with pytest.raises(RowParked, match=BEHIND):
        await wait_until_seen(world.engine, "order_status", token, id_="7")


async def test_a_token_is_seen_though_other_rows_are_parked(world: World) -> None:
    await world.append("order-7", OrderConfirmed(order=OrderId("7")))
    token = await world.append("order-1", placed(ORDER))
    await world.catch_up()

    await wait_until_seen(world.engine, "order_status", token, id_=ORDER, timeout=1)
    await wait_until_seen(world.engine, "order_status", token, timeout=1)


@pytest.mark.thorough
async def test_a_parked_row_is_known_when_the_outbox_has_forgotten_its_event(world: World) -> None:
    token = await world.append("order-7", OrderConfirmed(order=OrderId("7")))
    await world.catch_up()
    await world.sql("DELETE FROM outbox")

    with pytest.raises(RowParked):
        await wait_until_seen(world.engine, "order_status", token, id_="7")


async def test_a_token_is_seen_once_the_row_was_worked_off(world: World) -> None:
    token = await world.append("order-7", OrderConfirmed(order=OrderId("7")))
    await world.catch_up()
    await world.sql("DELETE FROM parked_events")

    await wait_until_seen(world.engine, "order_status", token, id_="7", timeout=1)


async def test_a_look_at_a_token_is_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await world.append("order-1", placed(ORDER))
    await world.catch_up()
    sent = statements_of(world.url, monkeypatch)

    await wait_until_seen(world.engine, "order_status", token, id_=ORDER)

    assert len([one for one in sent if "checkpoints" in one]) == 1
    assert len([one for one in sent if "parked_events" in one]) == 1

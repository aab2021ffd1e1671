"""A read model waits for a projector whose code reads the event, and parks nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed, OrderPlaced
from handrail.cli.newer_code import form_of
from handrail.cli.projection_commands import park_unknown, status, work_off_all
from handrail.eventstore import checkpoints, newer_code_decisions, newer_code_waits
from handrail.eventstore.codec import Codec
from handrail.eventstore.newer_code_waits import Waits
from handrail.eventstore.store import Recorded, shard_of
from handrail.evolution.changes import NewVersion
from handrail.kernel import Attribution
from handrail.projections.projector import Runner
from handrail.projections.retry_readable import retry_readable
from handrail.settings import Settings
from projections import order_status, stock_level
from runtime.app import HANDRAIL
from tests.projections.stories import Shop, placed
from tests.projections.world import World, until

ORDERS = order_status.PROJECTION
STOCK = stock_level.PROJECTION
OLD = HANDRAIL.codec
NEW = Codec(HANDRAIL.codec.classes, [NewVersion("OrderPlaced", 2, ())])
"""Of the next release, which writes the second version of OrderPlaced."""
BY = Attribution("ann", "the release was taken back")


def of_one_shard(count: int) -> list[OrderId]:
    """Orders whose streams are read together, one behind the other."""
    numbers = (OrderId(f"o-{number}") for number in range(10_000))
    return [one for one in numbers if shard_of(f"order-{one}") == 3][:count]  # any


FIRST, NEWER, LATER = of_one_shard(3)
ELSEWHERE = next(
    OrderId(f"o-{n}") for n in range(100) if shard_of(f"order-o-{n}") != shard_of(f"order-{FIRST}")
)


async def told(world: World) -> None:
    """An event of newer code in the middle of one shard, and others before, behind and beside."""
    await world.append(f"order-{FIRST}", placed(FIRST))
    await world.append(f"order-{NEWER}", placed(NEWER), codec=NEW)
    await world.append(f"order-{LATER}", placed(LATER))
    await world.append(f"order-{NEWER}", OrderConfirmed(order=NEWER))
    await world.append(f"order-{ELSEWHERE}", placed(ELSEWHERE))


async def statuses(world: World) -> Mapping[str, str]:
    return {id_: row["status"] for id_, row in (await world.rows(ORDERS)).items()}


async def waiting(world: World) -> Sequence[Waits]:
    async with world.pool.connection() as connection:
        return await newer_code_waits.waiting(
            connection, [one.name for one in HANDRAIL.read_models]
        )


async def parked(world: World) -> list[tuple[Any, ...]]:
    return await world.sql("SELECT projection, stream FROM parked_events ORDER BY position")


async def stored(world: World, position: int) -> list[Recorded]:
    found = await world.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events WHERE position = :position",
        position=position,
    )
    return [Recorded(*row) for row in found]


async def all_seen(world: World) -> bool:
    return await world.seen_all("order_status")


async def decides(world: World) -> None:
    """An operator, that the read model does not wait for newer code."""
    async with world.pool.connection() as connection:
        await newer_code_decisions.decide(
            connection, ["order_status"], ("OrderPlaced", 2), BY, parks=True
        )


def old(world: World, **options: Any) -> Runner:
    return world.runner([ORDERS, STOCK], OLD, **options)


def new(world: World, **options: Any) -> Runner:
    return world.runner([ORDERS, STOCK], NEW, **options)


async def test_the_shard_waits_before_the_event_and_nothing_is_parked(world: World) -> None:
    await told(world)

    await old(world).catch_up()

    assert await statuses(world) == {FIRST: "placed", ELSEWHERE: "placed"}
    assert await parked(world) == []
    [row] = await waiting(world)
    assert (row.subscriber, row.type, row.schema, row.stream) == (
        "order_status",
        "OrderPlaced",
        2,
        f"order-{NEWER}",
    )
    assert await world.seen_all("stock_level")


async def test_a_projector_of_newer_code_goes_on_where_the_older_one_waits(world: World) -> None:
    await told(world)
    async with world.running(old(world)):
        await until(lambda: _waits(world))
        async with world.running(new(world)):
            await until(lambda: all_seen(world))

    assert await world.rows(ORDERS) == await world.folded(ORDERS, NEW)
    assert await statuses(world) == {
        FIRST: "placed",
        NEWER: "confirmed",
        LATER: "placed",
        ELSEWHERE: "placed",
    }
    assert await parked(world) == []
    assert await waiting(world) == []


async def test_the_older_projector_goes_on_once_the_newer_one_is_gone(world: World) -> None:
    await told(world)
    async with world.running(old(world)):
        await until(lambda: _waits(world))
        async with world.running(new(world)):
            await until(lambda: all_seen(world))
        await world.append(f"order-{LATER}", OrderConfirmed(order=LATER))
        await until(lambda: _has(world, LATER, "confirmed"))

    assert await world.rows(ORDERS) == await world.folded(ORDERS, NEW)


async def test_the_older_projector_leaves_the_shard_to_the_newer_one_that_lives(
    world: World,
) -> None:
    await told(world)
    async with world.running(old(world, owner="a-old"), new(world, owner="b-new")):
        await until(lambda: all_seen(world))
        for number in range(20):
            await world.append(f"order-{NEWER}-{number}", placed(OrderId(f"{NEWER}-{number}")))
        await until(lambda: all_seen(world))
        [(owner,)] = await world.sql(
            "SELECT owner FROM checkpoints WHERE projection = 'order_status' AND shard = :shard",
            shard=shard_of(f"order-{NEWER}"),
        )

    assert owner == "b-new"


async def test_while_it_waits_the_shard_is_not_taken_again(world: World) -> None:
    await told(world)
    shard = shard_of(f"order-{NEWER}")
    query = "SELECT revision FROM checkpoints WHERE projection = 'order_status' AND shard = :shard"
    with capture_logs() as logs:
        async with world.running(old(world, owner="a"), old(world, owner="b")):
            await until(lambda: _left_by(world, {"a", "b"}))
            before = await world.value(query, shard=shard)
            await world.append(f"order-{ELSEWHERE}", OrderConfirmed(order=ELSEWHERE))
            await until(lambda: _has(world, ELSEWHERE, "confirmed"))
            after = await world.value(query, shard=shard)

    assert after == before
    said = [one for one in logs if one["event"] == "waits for newer code"]
    assert len(said) == 2  # one of each process


async def test_what_waits_waits_since_the_first_process_found_it(world: World) -> None:
    await told(world)
    await old(world, owner="first").catch_up()
    [before] = await waiting(world)

    await old(world, owner="second").catch_up()

    assert await waiting(world) == [before]


async def test_what_the_same_process_finds_again_waits_since_before(world: World) -> None:
    """As once an operator has taken a decision back."""
    await told(world)
    process = old(world, owner="first")
    await process.catch_up()
    [before] = await waiting(world)
    async with world.pool.connection() as connection:
        [one] = [
            held.checkpoint
            for held in await checkpoints.held(connection, ["order_status"])
            if held.checkpoint.shard == before.shard
        ]
        await checkpoints.claim(connection, "first", [one], timedelta(seconds=1))
        [event] = await stored(world, before.position)
        claimed = replace(one, revision=one.revision + 1)
        assert await newer_code_waits.leave(connection, "first", [claimed], event) == 1

    assert await waiting(world) == [before]


async def test_an_event_of_an_unknown_name_waits_where_its_category_is_read(world: World) -> None:
    without = Codec.of(one for one in HANDRAIL.events if one is not OrderPlaced)
    unknowing = replace(ORDERS, handles=tuple(h for h in ORDERS.handles if h is not OrderPlaced))
    await told(world)

    await world.runner([unknowing, STOCK], without).catch_up()

    assert {(one.type, one.subscriber) for one in await waiting(world)} == {
        ("OrderPlaced", "order_status")
    }
    assert await parked(world) == []


async def test_an_operator_may_have_it_parked(world: World) -> None:
    await told(world)
    await old(world).catch_up()
    await decides(world)

    await old(world).catch_up()

    assert await parked(world) == [("order_status", f"order-{NEWER}")] * 2
    assert await statuses(world) == {FIRST: "placed", LATER: "placed", ELSEWHERE: "placed"}
    assert await waiting(world) == []


async def test_a_process_that_runs_takes_the_shard_up_once_it_may_park(world: World) -> None:
    await told(world)
    async with world.running(old(world)):
        await until(lambda: _waits(world))
        await decides(world)
        await until(lambda: all_seen(world))

    assert await parked(world) == [("order_status", f"order-{NEWER}")] * 2


async def test_what_was_parked_as_unknown_goes_on_by_itself_with_code_that_reads_it(
    world: World,
) -> None:
    """As releases parked it that did not wait, or as an operator decided."""
    await told(world)
    await decides(world)
    await old(world).catch_up()

    assert await retry_readable(world.pool, [ORDERS, STOCK], OLD) == 0
    assert await retry_readable(world.pool, [ORDERS, STOCK], NEW) == 2

    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS, NEW)


async def test_the_status_says_what_waits_where_and_since_when(
    database: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await told(world)
    await old(world).catch_up()
    capsys.readouterr()

    assert await status(Settings(database_url=database), json=True) == 1

    printed = capsys.readouterr()
    [waits] = orjson.loads(printed.out.splitlines()[-1])["waiting"]
    assert (waits["subscriber"], waits["type"], waits["schema"]) == (
        "order_status",
        "OrderPlaced",
        2,
    )
    said = " ".join(printed.err.split())
    assert f"waits for newer code: OrderPlaced v2 at position {waits['position']}" in said
    assert "handrail projections park-unknown" in said


async def test_an_operator_decides_by_a_command_and_may_take_it_back(
    database: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(database_url=database)
    await told(world)
    await old(world).catch_up()
    event = "OrderPlaced.v2"
    model = "order_status"

    assert await park_unknown(settings, model, event, BY, withdraw=False, json=True) == 0
    assert await world.sql(
        "SELECT subscriber, type, schema, parks, actor, reason FROM newer_code_decisions"
        " ORDER BY subscriber"
    ) == [(name, "OrderPlaced", 2, True, BY.actor, BY.reason) for name in (model, f"{model}__next")]
    assert await park_unknown(settings, model, event, BY, withdraw=True, json=True) == 0
    await old(world).catch_up()

    assert await parked(world) == []
    assert len(await waiting(world)) == 1


async def test_the_newest_decision_stands_though_the_clock_was_put_back(world: World) -> None:
    await told(world)
    await decides(world)
    await world.sql("UPDATE newer_code_decisions SET decided_at = decided_at + interval '1 hour'")

    async with world.pool.connection() as connection:
        for parks in (False, True, False):
            await newer_code_decisions.decide(
                connection, ["order_status"], ("OrderPlaced", 2), BY, parks=parks
            )
    await old(world).catch_up()

    assert await parked(world) == []
    assert len(await waiting(world)) == 1


async def test_what_this_code_reads_is_not_to_be_parked(
    database: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(database_url=database)

    code = await park_unknown(
        settings, "order_status", "OrderPlaced.v1", BY, withdraw=False, json=False
    )

    assert code == 1
    assert "this code reads OrderPlaced v1" in capsys.readouterr().out
    assert await world.sql("SELECT FROM newer_code_decisions") == []


async def test_all_that_is_parked_is_tried_again_by_one_command(
    database: str, world: World
) -> None:
    await told(world)
    await decides(world)
    await old(world).catch_up()
    await world.sql("SET LOCAL session_replication_role = replica; UPDATE events SET schema = 1")

    assert await work_off_all(Settings(database_url=database), None) == 0

    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


@pytest.mark.parametrize("form", ["OrderPlaced", "OrderPlaced.v0", "a b.v1", "OrderPlaced.v99999"])
def test_what_is_no_event_in_a_version_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="no event in a version"):
        form_of(form)


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
async def test_wherever_a_page_ends_each_event_is_applied_once(world: World, page: int) -> None:
    shop = Shop()
    for stream, events in shop.opens():
        await world.append(stream, *events)
    await told(world)

    await old(world, page=page).catch_up()
    await new(world, page=page).catch_up()

    assert await world.rows(ORDERS) == await world.folded(ORDERS, NEW)
    assert await world.rows(STOCK) == await world.folded(STOCK, NEW)
    assert await parked(world) == []


async def _waits(world: World) -> bool:
    return bool(await waiting(world))


async def _left_by(world: World, owners: set[str]) -> bool:
    found = await world.sql("SELECT owner FROM newer_code_waits WHERE subscriber = 'order_status'")
    return {owner for (owner,) in found} == owners


async def _has(world: World, order: OrderId, status: str) -> bool:
    return (await statuses(world)).get(order) == status

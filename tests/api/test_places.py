"""A merchant has so many places: who finds none is told to come back, and nothing was started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.database_engine import open_engine
from handrail.http.database import Database
from handrail.http.idempotency import derived_id
from handrail.http.problems import Problem
from handrail.http.tenant_limit import TenantLimit
from runtime.app import HANDRAIL
from tests.api.conftest import API, House
from tests.api.shop import Shop, a_key, eventually, place, problem, settled
from tests.api.test_idempotency import placed_with, post
from tests.controls import a_merchant, an_order_id

BOUND = 2


@pytest.fixture
async def bounded(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(sagas_per_merchant=BOUND) as client:
        yield client


def places_of(engine: AsyncEngine, bound: int) -> TenantLimit:
    return TenantLimit(Database(engine), bound, HANDRAIL.saga_board.table, HANDRAIL.tenant)


@pytest.fixture
def places(house: House) -> TenantLimit:
    return places_of(house.engine, BOUND)


async def take(places: TenantLimit, merchant: str, *sagas: str) -> None:
    for saga in sagas:
        async with places.held(merchant, saga):
            pass


async def taken(house: House, merchant: str) -> set[str]:
    rows = await house.sql("SELECT saga FROM saga_places WHERE merchant = %s", merchant)
    return {saga for (saga,) in rows}


async def test_one_order_too_many_is_told_when_to_come_back(
    house: House, bounded: httpx.AsyncClient, places: TenantLimit, shop: Shop
) -> None:
    await take(places, shop.merchant, an_order_id(), an_order_id())
    key = a_key()
    answer = await post(bounded, shop, key)
    problem(answer, 429, "too-many-for-merchant")
    assert 3 <= int(answer.headers["Retry-After"]) <= 9
    assert await placed_with(house, key) == 0
    assert not await house.sql("SELECT FROM requests WHERE key = %s", key)


async def test_other_merchants_are_served_meanwhile(
    bounded: httpx.AsyncClient, places: TenantLimit, shop: Shop
) -> None:
    await take(places, a_merchant(), an_order_id(), an_order_id())
    assert (await place(bounded, shop)).status_code == 200


async def test_an_order_that_was_answered_is_answered_again_where_all_places_are_taken(
    house: House, bounded: httpx.AsyncClient, places: TenantLimit, shop: Shop
) -> None:
    key = a_key()
    first = await post(bounded, shop, key)
    await settled(bounded, first.json()["saga"])
    await take(places, shop.merchant, an_order_id(), an_order_id())
    again = await post(bounded, shop, key)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(await post(bounded, shop, a_key()), 429, "too-many-for-merchant")


async def test_a_saga_that_has_ended_leaves_its_place_to_the_next(
    house: House, bounded: httpx.AsyncClient, shop: Shop
) -> None:
    for _ in range(BOUND + 2):
        answer = await place(bounded, shop)
        assert answer.status_code == 200, answer.text
        await settled(bounded, answer.json()["saga"])
    assert len(await taken(house, shop.merchant)) <= BOUND


@pytest.mark.quick(1)
@pytest.mark.parametrize("status", ["running", "compensating"])
async def test_a_saga_that_runs_keeps_its_place(
    house: House, api: httpx.AsyncClient, shop: Shop, status: str
) -> None:
    places, saga = places_of(house.engine, 1), await ended(api, shop)
    await take(places, shop.merchant, saga)
    await house.sql("UPDATE saga_board SET status = %s WHERE saga = %s", status, saga)
    with pytest.raises(Problem, match="being processed"):
        await take(places, shop.merchant, an_order_id())
    assert await taken(house, shop.merchant) == {saga}


@pytest.mark.quick(1)
@pytest.mark.parametrize("status", ["parked", "awaiting", "completed"])
async def test_a_saga_that_waits_for_somebody_or_has_ended_leaves_its_place(
    house: House, api: httpx.AsyncClient, shop: Shop, status: str
) -> None:
    places, saga = places_of(house.engine, 1), await ended(api, shop)
    await take(places, shop.merchant, saga)
    await house.sql("UPDATE saga_board SET status = %s WHERE saga = %s", status, saga)
    await take(places, shop.merchant, next_one := an_order_id())
    assert await taken(house, shop.merchant) == {next_one}


async def ended(api: httpx.AsyncClient, shop: Shop) -> str:
    saga: str = (await place(api, shop)).json()["saga"]
    await settled(api, saga)
    return saga


async def test_the_place_of_a_saga_that_never_began_is_free_after_a_minute(
    house: House, places: TenantLimit
) -> None:
    """The process that took it died before it could start anything."""
    later = places_of(house.engine, BOUND)
    merchant, lost, next_one = a_merchant(), an_order_id(), an_order_id()
    await take(places, merchant, lost, an_order_id())
    with pytest.raises(Problem):
        await take(places, merchant, next_one)
    await house.sql(
        "UPDATE saga_places SET taken_at = taken_at - interval '61 seconds' WHERE saga = %s", lost
    )
    await take(later, merchant, next_one)
    assert lost not in await taken(house, merchant)


async def test_who_comes_at_the_same_moment_finds_no_more_places_than_there_are(
    house: House, places: TenantLimit
) -> None:
    merchant = a_merchant()
    asked = [take(places, merchant, an_order_id()) for _ in range(10)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Problem) for one in answers) == 10 - BOUND
    assert len(await taken(house, merchant)) == BOUND


async def test_a_merchant_without_a_place_is_not_looked_at_again_for_a_moment(
    house: House, places: TenantLimit
) -> None:
    merchant = a_merchant()
    await take(places, merchant, an_order_id(), an_order_id())
    with pytest.raises(Problem):
        await take(places, merchant, an_order_id())
    await house.sql("DELETE FROM saga_places WHERE merchant = %s", merchant)
    with pytest.raises(Problem):
        await take(places, merchant, an_order_id())

    async def finds_one() -> bool:
        try:
            await take(places, merchant, an_order_id())
        except Problem:
            return False
        return True

    await eventually(finds_one, "a place")


async def test_the_same_saga_twice_takes_one_place(house: House, places: TenantLimit) -> None:
    merchant, saga, other = a_merchant(), an_order_id(), an_order_id()
    await take(places, merchant, saga, other, saga, other)
    assert await taken(house, merchant) == {saga, other}


async def test_an_order_that_is_turned_down_at_the_door_holds_no_place(
    house: House, bounded: httpx.AsyncClient, shop: Shop
) -> None:
    problem(await place(bounded, shop, customer="nobody"), 422, "unknown-customer")
    assert not await taken(house, shop.merchant)


async def test_a_key_that_comes_again_with_another_body_does_not_take_the_place_of_the_first(
    house: House, bounded: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    await post(bounded, shop, key, card="card_late_1")
    problem(await post(bounded, shop, key, instalments=6), 422, "idempotency-key-reused")
    assert await taken(house, shop.merchant) == {derived_id("ord", "POST /orders", key)}


async def test_without_a_bound_nothing_is_counted(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    assert (await place(api, shop)).status_code == 200
    assert not await taken(house, shop.merchant)


async def test_a_burst_over_two_processes_is_held_to_about_the_bound(house: House) -> None:
    """Statements of the same moment do not see each other: at most one for each connection."""
    merchant, bound, connections = a_merchant(), 50, 4
    numbers, refused = iter(range(200)), 0

    async def one_after_the_other(places: TenantLimit) -> None:
        nonlocal refused
        for number in numbers:
            try:
                await take(places, merchant, f"{merchant}-{number}")
            except Problem:
                refused += 1

    async with (
        open_engine(house.database, role=API, size=connections) as one,
        open_engine(house.database, role=API, size=connections) as other,
    ):
        both = [places_of(engine, bound) for engine in (one, other)]
        work = [one_after_the_other(places) for places in both for _ in range(connections)]
        await asyncio.gather(*work)
    begun = len(await taken(house, merchant))
    assert begun + refused == 200
    assert bound <= begun < bound + 2 * connections


@asynccontextmanager
async def slow_to_take(house: House, merchant: str, seconds: float) -> AsyncIterator[None]:
    """The database takes so long for each place of this merchant, as on a busy machine."""
    await house.sql(
        "CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END$$"
    )
    await house.sql(
        "CREATE TRIGGER takes_long BEFORE INSERT ON saga_places FOR EACH ROW"
        f" WHEN (NEW.merchant = '{merchant}') EXECUTE FUNCTION takes_long()"
    )
    try:
        yield
    finally:
        await house.sql("DROP TRIGGER takes_long ON saga_places")
        await house.sql("DROP FUNCTION takes_long")


@pytest.mark.thorough
async def test_many_orders_at_one_merchant_wait_for_each_other_and_are_all_taken(
    house: House, shop: Shop
) -> None:
    async with (
        house.api(sagas_per_merchant=500) as api,
        slow_to_take(house, shop.merchant, 0.12),
    ):
        answers = await asyncio.gather(*(post(api, shop, a_key()) for _ in range(60)))
    assert {one.status_code for one in answers} == {202}, [one.text for one in answers]


@pytest.mark.thorough
async def test_who_can_find_no_place_does_not_wait_for_one(house: House, shop: Shop) -> None:
    async with (
        house.api(sagas_per_merchant=10) as api,
        slow_to_take(house, shop.merchant, 0.12),
    ):
        answers = await asyncio.gather(*(post(api, shop, a_key()) for _ in range(60)))
    taken_on = [one for one in answers if one.status_code == 202]
    assert len(taken_on) >= 10
    for one in answers:
        if one not in taken_on:
            problem(one, 429, "too-many-for-merchant")
            assert int(one.headers["Retry-After"]) > 0


async def test_a_saga_is_begun_with_its_merchant_as_fairness_key(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    history = await house.temporal.get_workflow_handle(saga).fetch_history()
    begun = history.events[0].workflow_execution_started_event_attributes
    assert begun.priority.fairness_key == shop.merchant

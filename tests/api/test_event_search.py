"""The audit search: every filter, pages, what a confined caller sees, and the tree of causes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from handrail.access.principal import Principal
from handrail.audit import event_search
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import Shop, open_shop, place, problem, settled


async def ids(api: httpx.AsyncClient, **asked: Any) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    path: str | None = str(httpx.URL("/events", params=asked))
    while path:
        answer = await api.get(path)
        assert answer.status_code == 200, answer.text
        found += [one["id"] for one in answer.json()["items"]]
        path = answer.json()["next"]
    return found


async def stored(house: House, condition: str, *parameters: Any) -> list[str]:
    """What the events table holds, newest first."""
    rows = await house.sql(
        f"SELECT stream || '/' || version FROM events WHERE {condition} ORDER BY position DESC",
        *parameters,
    )
    return [one for (one,) in rows]


@pytest.fixture
async def order(api: httpx.AsyncClient, shop: Shop) -> str:
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga)
    return str(saga)


async def test_a_search_by_saga_finds_everything_the_saga_caused_in_every_stream(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    found = await ids(api, saga=order)
    assert found == await stored(house, "metadata ->> 'saga' = %s", order)
    assert {f"order-{order}/1", f"saga-{order}/1"} < set(found)


async def test_a_search_by_correlation_finds_single_commands_too(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    [(correlation,)] = await house.sql(
        "SELECT metadata ->> 'correlation' FROM events WHERE stream = %s AND version = 1",
        f"merchant-{shop.merchant}",
    )
    assert await ids(api, correlation=correlation) == [f"merchant-{shop.merchant}/1"]


async def test_a_search_by_actor_finds_what_the_actor_did(house: House) -> None:
    anna = f"anna-{uuid4().hex[:8]}"
    known = Callers({"anna": caller(anna, "operator"), "rita": caller("rita", "reader")})
    async with house.api(authentication=known) as api:
        api.headers.update(signed_in("anna"))
        await open_shop(api)
        api.headers.update(signed_in("rita"))
        found = await ids(api, actor=f"person:{anna}")
    assert found == await stored(house, "metadata ->> 'actor' = %s", f"person:{anna}")
    assert len(found) >= 3


async def test_type_tenant_and_time_narrow_a_search(
    house: House, api: httpx.AsyncClient, shop: Shop, order: str
) -> None:
    of_merchant = "metadata ->> 'merchant' = %s"
    assert await ids(api, merchant=shop.merchant) == await stored(house, of_merchant, shop.merchant)
    assert await ids(api, merchant=shop.merchant, type="OrderPlaced") == [f"order-{order}/1"]
    [(moment,)] = await house.sql(
        "SELECT recorded_at FROM events WHERE stream = %s AND version = 2", f"order-{order}"
    )
    since, until = f"{of_merchant} AND recorded_at >= %s", f"{of_merchant} AND recorded_at < %s"
    at = moment.isoformat()
    assert await ids(api, merchant=shop.merchant, since=at) == await stored(
        house, since, shop.merchant, moment
    )
    assert await ids(api, merchant=shop.merchant, until=at) == await stored(
        house, until, shop.merchant, moment
    )


async def test_pages_are_newest_first_and_leave_nothing_out(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    assert await ids(api, saga=order, limit=3) == await stored(
        house, "metadata ->> 'saga' = %s", order
    )


async def test_a_page_looks_at_a_bounded_number_of_events(
    api: httpx.AsyncClient, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_search, "LOOKED_AT", 4)
    first = (await api.get("/events", params={"saga": order, "type": "SagaStarted"})).json()
    assert first["items"] == []
    assert await ids(api, saga=order, type="SagaStarted") == [f"saga-{order}/1"]


@pytest.mark.parametrize(
    "asked",
    [
        {"actor": "no\nname"},
        {"since": "yesterday"},
        {"type": "1"},
        {"limit": "201"},
        {"cursor": "x"},
        {"who": "ann"},
    ],
    ids=str,
)
async def test_a_bad_filter_is_named(api: httpx.AsyncClient, asked: dict[str, str]) -> None:
    answer = await api.get("/events", params=asked)
    assert answer.status_code in {400, 422}
    assert next(iter(asked)) in answer.text


async def test_a_caller_without_the_scope_finds_nothing(house: House) -> None:
    known = Callers({"m": caller("m", "merchant", tenant="m-1")})
    async with house.api(authentication=known) as api:
        api.headers.update(signed_in("m"))
        problem(await api.get("/events"), 403, "scope-missing")


def auditor(**confined: str) -> Principal:
    scopes = HANDRAIL.access.granted((), ["audit:read"])
    return Principal("person", "auditor", scopes, **confined)


@pytest.fixture
async def apart(house: House) -> AsyncIterator[tuple[httpx.AsyncClient, Shop, str, Shop, str]]:
    """Two shops with an order each, and an API for those who may see the first one's alone."""
    async with house.api() as api:
        shops = [await open_shop(api) for _ in range(2)]
        orders = [(await place(api, one)).json()["order"] for one in shops]
        for one in orders:
            await settled(api, one)
    (mine, theirs), (my_order, their_order) = shops, orders
    known = Callers(
        {
            "merchant": auditor(tenant=mine.merchant),
            "customer": auditor(party=mine.customer),
            "both": auditor(tenant=mine.merchant, party=theirs.customer),
        }
    )
    async with house.api(authentication=known) as api:
        yield api, mine, my_order, theirs, their_order


@pytest.mark.quick(1)
@pytest.mark.parametrize("word", ["merchant", "customer"])
async def test_a_confined_caller_finds_the_events_of_its_own_orders_alone(
    house: House, apart: tuple[httpx.AsyncClient, Shop, str, Shop, str], word: str
) -> None:
    api, _, my_order, _, their_order = apart
    api.headers.update(signed_in(word))
    found = await ids(api)
    assert f"order-{my_order}/1" in found
    assert {one.partition("/")[0].partition("-")[2] for one in found} == {my_order}
    assert await ids(api, saga=their_order) == []
    assert await stored(house, "metadata ->> 'saga' = %s", their_order)


@pytest.mark.thorough
async def test_who_is_confined_to_a_tenant_and_a_party_finds_what_is_of_both(
    apart: tuple[httpx.AsyncClient, Shop, str, Shop, str],
) -> None:
    api = apart[0]
    api.headers.update(signed_in("both"))
    assert await ids(api) == []


@pytest.mark.thorough
async def test_a_confined_caller_is_not_shown_causes(
    apart: tuple[httpx.AsyncClient, Shop, str, Shop, str],
) -> None:
    api, _, my_order, *_ = apart
    api.headers.update(signed_in("merchant"))
    problem(await api.get(f"/events/order-{my_order}/1/causes"), 404, "not-found")


async def test_the_causes_of_an_event_are_its_step_and_the_start_of_its_saga(
    api: httpx.AsyncClient, order: str
) -> None:
    found = (await api.get(f"/events/order-{order}/1/causes")).json()
    assert found["correlation"] == order
    assert found["caused_by"][-1]["id"] == f"saga-{order}/1"
    [step] = [one for one in found["steps"] if one["causation"] == found["causation"]]
    assert f"order-{order}/1" in [one["id"] for one in step["events"]]
    assert found["complete"]


async def test_the_start_of_a_saga_caused_all_that_its_attempt_did(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    found = (await api.get(f"/events/saga-{order}/1/causes")).json()
    everything = set(await stored(house, "metadata ->> 'saga' = %s", order))
    assert {one["id"] for one in found["caused"]} == everything - {f"saga-{order}/1"}


async def test_what_was_taken_back_was_caused_by_the_step_that_did_it(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop, card="card_declined")).json()["saga"]
    await settled(api, saga)
    [undone, *_] = await stored(
        house, "metadata ->> 'saga' = %s AND metadata ->> 'direction' = 'undo'", saga
    )
    found = (await api.get(f"/events/{undone}/causes")).json()
    done = await stored(
        house,
        "metadata ->> 'causation' = %s",
        found["causation"].removesuffix("undo") + "do",
    )
    assert done
    assert [one["id"] for one in found["caused_by"]][: len(done)] == done
    assert found["caused_by"][-1]["type"] == "SagaStarted"


async def test_an_event_that_does_not_exist_has_no_causes(api: httpx.AsyncClient) -> None:
    problem(await api.get("/events/order-none/1/causes"), 404, "not-found")
    problem(await api.get("/events/order-none/0/causes"), 422, "invalid-request")

"""The past of a resource over HTTP: what changed between two moments, and who set each field."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from handrail.access.principal import Principal
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import Shop, open_shop, place, problem, read, settled
from tests.api.test_as_of_everywhere import LISTS, OF_SAGAS, SUMS


@pytest.fixture
async def order(api: httpx.AsyncClient, shop: Shop) -> str:
    placed = (await place(api, shop)).json()["order"]
    await settled(api, placed)
    await read(api, f"/orders/{placed}", lambda found: found["status"] == "confirmed")
    return str(placed)


def resources(order: str, shop: Shop) -> list[str]:
    """Every resource with as_of."""
    return [
        f"/orders/{order}",
        f"/orders/{order}/plan",
        f"/customers/{shop.customer}",
        f"/merchants/{shop.merchant}/balance",
        f"/merchants/{shop.merchant}/stock/{shop.sku}",
    ]


async def test_every_row_of_the_shop_that_has_as_of_has_its_changes_and_blame(
    api: httpx.AsyncClient, order: str, shop: Shop
) -> None:
    document = (await api.get("/openapi.json")).json()["paths"]
    of_moments = {
        path
        for path, methods in document.items()
        if not path.endswith("/blame")
        and any(one["name"] == "as_of" for one in methods.get("get", {}).get("parameters", []))
    }
    of_moments -= LISTS | SUMS | OF_SAGAS
    assert of_moments == {path.removesuffix("/changes") for path in document if "/changes" in path}
    assert of_moments == {path.removesuffix("/blame") for path in document if "/blame" in path}
    assert (
        len(of_moments) == len(resources(order, shop)) + 1
    )  # an application, which is not made here
    for path in resources(order, shop):
        assert (await api.get(f"{path}/changes")).json()["items"], path
        assert (await api.get(f"{path}/blame")).json()["complete"], path


async def test_blame_names_the_event_that_set_a_field(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    found = (await api.get(f"/orders/{order}/blame")).json()
    fields = {one["field"]: one for one in found["fields"]}
    status = fields["status"]
    assert status["value"] == "confirmed"
    assert (status["set_by"]["id"], status["set_by"]["type"]) == (
        f"order-{order}/2",
        "OrderConfirmed",
    )
    [(actor, causation)] = await house.sql(
        "SELECT metadata ->> 'actor', metadata ->> 'causation' FROM events"
        " WHERE stream = %s AND version = 2",
        f"order-{order}",
    )
    assert (status["set_by"]["actor"], status["set_by"]["causation"]) == (actor, causation)
    assert fields["customer"]["set_by"]["id"] == f"order-{order}/1"


async def test_changes_say_from_what_to_what_between_two_moments(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    moments = await house.sql(
        "SELECT recorded_at FROM events WHERE stream = %s ORDER BY version", f"order-{order}"
    )
    first, second = [moment.isoformat() for (moment,) in moments]
    found = await pages(api, f"/orders/{order}/changes", **{"from": first, "to": second})
    [status] = [
        each
        for one in found
        for each in one["fields"]
        if each["field"] == "status" and one["event"]["id"] == f"order-{order}/2"
    ]
    assert (status["before"], status["after"]) == ("approved", "confirmed")
    assert f"order-{order}/1" not in {one["event"]["id"] for one in found}


async def test_pages_of_changes_leave_nothing_out(api: httpx.AsyncClient, order: str) -> None:
    path = f"/orders/{order}/changes"
    whole = await pages(api, path, limit=200)
    assert len(whole) > 2
    assert await pages(api, path, limit=1) == whole


async def pages(api: httpx.AsyncClient, path: str, **asked: Any) -> list[Any]:
    found: list[Any] = []
    next_: str | None = str(httpx.URL(path, params=asked))
    while next_:
        answer = await api.get(next_)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        next_ = answer.json()["next"]
    return found


async def test_blame_as_of_a_moment_is_of_the_row_then(
    house: House, api: httpx.AsyncClient, order: str
) -> None:
    [(moment,)] = await house.sql(
        "SELECT recorded_at FROM events WHERE stream = %s AND version = 1", f"order-{order}"
    )
    answer = await api.get(f"/orders/{order}/blame", params={"as_of": moment.isoformat()})
    fields = {one["field"]: one for one in answer.json()["fields"]}
    assert fields["status"]["set_by"]["id"] == f"order-{order}/1"


async def test_what_is_not_there_has_no_blame(api: httpx.AsyncClient) -> None:
    problem(await api.get("/orders/none/blame"), 404, "not-found")
    assert (await api.get("/orders/none/changes")).json()["items"] == []
    problem(await api.get("/orders/none/changes?from=then"), 422, "invalid-request")


def auditor(**confined: str) -> Principal:
    scopes = HANDRAIL.access.granted(["merchant"], ["audit:read"])
    return Principal("person", "auditor", scopes, **confined)


async def test_a_merchant_sees_no_blame_without_the_right_to_audit_nor_of_others(
    house: House,
) -> None:
    async with house.api() as api:
        mine, theirs = await open_shop(api), await open_shop(api)
        for one in (mine, theirs):
            await read(api, f"/merchants/{one.merchant}/balance", bool)
    known = Callers(
        {
            "plain": caller("m", "merchant", tenant=mine.merchant),
            "auditor": auditor(tenant=mine.merchant),
        }
    )
    async with house.api(authentication=known) as api:
        own = f"/merchants/{mine.merchant}/balance/blame"
        other = f"/merchants/{theirs.merchant}/balance/blame"
        problem(await api.get(own, headers=signed_in("plain")), 403, "scope-missing")
        assert (await api.get(own, headers=signed_in("auditor"))).status_code == 200
        problem(await api.get(other, headers=signed_in("auditor")), 404, "not-found")

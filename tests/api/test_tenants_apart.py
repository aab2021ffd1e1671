"""What is of another merchant or customer does not exist for a caller confined to its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from handrail.access.authentication import Development
from handrail.processes.http_application import create_app
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, open_shop, place, problem, read
from workflows.options import ShopOptions


@dataclass(frozen=True)
class Sides:
    """Two shops, with an order of each, and callers that are confined to one of them."""

    mine: Shop
    theirs: Shop
    my_order: str
    their_order: str


@pytest.fixture(scope="module")
async def sides(house: House) -> AsyncIterator[Sides]:
    async with house.api() as all_seeing:
        mine, theirs = await open_shop(all_seeing), await open_shop(all_seeing)
        orders = [(await place(all_seeing, shop)).json()["order"] for shop in (mine, theirs)]
        for order in orders:
            await read(all_seeing, f"/orders/{order}", lambda found: found["status"] == "confirmed")
            await read(all_seeing, f"/orders/{order}/plan", bool)
        yield Sides(mine, theirs, *orders)


@pytest.fixture(scope="module")
async def api(house: House, sides: Sides) -> AsyncIterator[httpx.AsyncClient]:
    known = Callers(
        {
            "merchant": caller("m", "merchant", tenant=sides.mine.merchant),
            "customer": caller("c", "customer", party=sides.mine.customer),
            "desk": caller("d", "operator", tenant=sides.mine.merchant),
            "operator": caller("o", "operator"),
        }
    )
    async with house.api(authentication=known) as client:
        yield client


WHOSE = ("merchant", "customer")


def paths(order: str, shop: Shop) -> dict[str, list[str]]:
    """What each may read of its own."""
    return {
        "merchant": [
            f"/orders/{order}",
            f"/orders/{order}/plan",
            f"/merchants/{shop.merchant}/balance",
            f"/merchants/{shop.merchant}/stock",
            f"/merchants/{shop.merchant}/stock/{shop.sku}",
        ],
        "customer": [
            f"/orders/{order}",
            f"/orders/{order}/plan",
            f"/customers/{shop.customer}",
            f"/customers/{shop.customer}/messages",
        ],
    }


@pytest.mark.parametrize("word", WHOSE)
async def test_what_is_its_own_is_answered(api: httpx.AsyncClient, sides: Sides, word: str) -> None:
    for path in paths(sides.my_order, sides.mine)[word]:
        assert (await api.get(path, headers=signed_in(word))).status_code == 200, path


@pytest.mark.parametrize("as_of", ["", "?as_of=2100-01-01T00:00:00Z"])
@pytest.mark.parametrize("word", WHOSE)
async def test_what_is_anothers_does_not_exist(
    api: httpx.AsyncClient, sides: Sides, word: str, as_of: str
) -> None:
    for path in paths(sides.their_order, sides.theirs)[word]:
        problem(await api.get(path + as_of, headers=signed_in(word)), 404, "not-found")


@pytest.mark.parametrize("as_of", ["", "2100-01-01T00:00:00Z"])
@pytest.mark.parametrize("word", WHOSE)
@pytest.mark.parametrize("which", ["", "merchant", "customer"])
async def test_a_list_holds_its_own_alone(
    api: httpx.AsyncClient, sides: Sides, word: str, which: str, as_of: str
) -> None:
    """Also where the filter names another, and in the past."""
    for path in ("/orders", "/plans"):
        asked = {which: getattr(sides.theirs, which)} if which else {}
        asked |= {"as_of": as_of} if as_of else {}
        answer = await api.get(path, params=asked, headers=signed_in(word))
        if answer.status_code == 422:
            continue  # a filter that this list does not have
        found = {one["order"] for one in answer.json()["items"]}
        assert found == (set() if which else {sides.my_order}), path


async def test_sagas_and_stock_of_the_past_are_its_own_alone(
    api: httpx.AsyncClient, sides: Sides
) -> None:
    moment = {"as_of": "2100-01-01T00:00:00Z"}
    listed = await api.get("/sagas", params=moment, headers=signed_in("desk"))
    assert {one["merchant"] for one in listed.json()["items"]} == {sides.mine.merchant}
    of_another = f"/merchants/{sides.theirs.merchant}/stock"
    found = await api.get(of_another, params=moment, headers=signed_in("merchant"))
    problem(found, 404, "not-found")


async def test_a_cursor_of_another_shows_nothing_of_theirs(
    api: httpx.AsyncClient, sides: Sides
) -> None:
    everything = await api.get("/orders", params={"limit": 1}, headers=signed_in("operator"))
    path = everything.json()["next"]
    while path:
        page = (await api.get(path, headers=signed_in("merchant"))).json()
        assert {one["merchant"] for one in page["items"]} <= {sides.mine.merchant}
        path = page["next"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/orders/{order}/cancellation", {"reason": "not mine"}),
        ("POST", "/orders/{order}/plan/settlement", {}),
        ("POST", "/orders/{order}/returns", {"reason": "not mine"}),
        ("PUT", "/customers/{customer}/contact", {"language": "en", "email": "a@b.example"}),
        ("DELETE", "/customers/{customer}/contact", None),
    ],
)
async def test_nothing_of_another_is_changed(
    api: httpx.AsyncClient, sides: Sides, method: str, path: str, body: object
) -> None:
    at = path.format(order=sides.their_order, customer=sides.theirs.customer)
    headers = {**signed_in("customer"), "Idempotency-Key": a_key()}
    answer = await api.request(method, at, json=body, headers=headers)
    problem(answer, 404, "not-found")


async def test_an_order_for_another_customer_is_refused_like_one_of_nobody(
    api: httpx.AsyncClient, sides: Sides
) -> None:
    def asked(customer: str) -> dict[str, object]:
        return {**sides.mine.order(), "customer": customer}

    headers = {**signed_in("customer"), "Idempotency-Key": a_key()}
    theirs = await api.post("/orders", json=asked(sides.theirs.customer), headers=headers)
    nobody = await api.post("/orders", json=asked("c-none"), headers=headers)
    for answer, customer in ((theirs, sides.theirs.customer), (nobody, "c-none")):
        found = problem(answer, 422, "unknown-customer")
        assert found["errors"] == [
            {"pointer": "#/customer", "detail": f"{customer} has no credit limit"}
        ]


async def test_an_order_of_its_own_is_placed(api: httpx.AsyncClient, sides: Sides) -> None:
    answer = await api.post(
        "/orders",
        json=sides.mine.order(),
        headers={**signed_in("customer"), "Idempotency-Key": a_key(), "Prefer": "wait=20"},
    )
    assert answer.json()["decision"] == "approved", answer.text


async def test_a_key_of_another_is_another_key(api: httpx.AsyncClient, sides: Sides) -> None:
    headers = {"Idempotency-Key": a_key(), "Prefer": "wait=20"}
    first = await api.post(
        "/orders", json=sides.theirs.order(), headers={**headers, **signed_in("operator")}
    )
    second = await api.post(
        "/orders", json=sides.mine.order(), headers={**headers, **signed_in("customer")}
    )
    assert (first.status_code, second.status_code) == (200, 200), second.text
    assert first.json()["order"] != second.json()["order"]


async def test_sagas_of_another_merchant_do_not_exist_for_its_desk(
    api: httpx.AsyncClient, sides: Sides
) -> None:
    found = await api.get("/sagas", headers=signed_in("desk"))
    assert {one["merchant"] for one in found.json()["items"]} == {sides.mine.merchant}
    own = await api.get(f"/sagas/{sides.my_order}", headers=signed_in("desk"))
    assert own.status_code == 200
    for path in ("", "/events"):
        theirs = await api.get(f"/sagas/{sides.their_order}{path}", headers=signed_in("desk"))
        problem(theirs, 404, "not-found")
    for path in (f"/streams/saga-{sides.their_order}", "/webhooks/bank/any"):
        problem(await api.get(path, headers=signed_in("desk")), 404, "not-found")


async def test_every_path_says_whose_it_is_or_is_no_confined_callers(house: House) -> None:
    """Whatever its scopes are: what does not say so answers 404 to a confined caller."""
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        ShopOptions(),
        authentication=Development(HANDRAIL.access),
    )
    owners = app.state.path_owners
    own = {
        path
        for path in app.openapi()["paths"]
        if "{" in path and any(owners.says(part[1:-1]) for part in path.split("/") if "{" in part)
    }
    own_paths = {"orders", "customers", "merchants", "sagas", "webhook-endpoints"}
    assert {path.split("/")[1] for path in own} == own_paths

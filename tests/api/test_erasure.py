"""DELETE /customers/{id}: refused while something is open; then nothing of a person is left."""

from __future__ import annotations

from typing import Any

import httpx

from handrail.personal import ERASED
from tests.api.conftest import House
from tests.api.delivery import Contexts, is_delivered
from tests.api.shop import Shop, eventually, place, problem, read, settled
from tests.api.test_personal_texts import stored

MAIL = "ann.canary@example.org"


async def reached(api: httpx.AsyncClient, customer: str) -> None:
    """The customer has said how to be reached."""
    contact = {"language": "en", "time_zone": "UTC", "addresses": {"email": MAIL}}
    answer = await api.put(f"/customers/{customer}/contact", json=contact)
    assert answer.status_code == 200, answer.text


async def a_finished_order(api: httpx.AsyncClient, contexts: Contexts, shop: Shop) -> str:
    """Paid at once, and delivered."""
    placed = await place(api, shop, instalments=1, card="canary-erased_ok")
    order: str = placed.json()["order"]
    await settled(api, order)
    await is_delivered(
        contexts, await read(api, f"/orders/{order}", lambda one: one["status"] == "confirmed")
    )
    await read(api, f"/orders/{order}", lambda one: one["status"] == "completed")
    return order


async def erased(api: httpx.AsyncClient, customer: str) -> dict[str, Any]:
    """The proof."""
    before = len(await proofs(api, customer))
    answer = await api.delete(f"/customers/{customer}", headers={"Handrail-Actor": "privacy"})
    assert answer.status_code == 202, answer.text

    async def proof() -> dict[str, Any] | None:
        found = await proofs(api, customer)
        return found[-1] if len(found) > before else None

    return await eventually(proof, f"the erasure of {customer}")


async def proofs(api: httpx.AsyncClient, customer: str) -> list[dict[str, Any]]:
    stream = await api.get(f"/streams/customer-{customer}")
    items = stream.json()["items"] if stream.status_code == 200 else []
    return [one for one in items if one["type"] == "CustomerErased"]


async def test_an_open_order_refuses_the_erasure_and_is_named(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    order = (await place(api, shop)).json()["order"]
    answer = await api.delete(f"/customers/{shop.customer}")
    found = problem(answer, 409, "erasure-refused")
    assert order in found["detail"]
    assert "held or owed" in found["detail"]


async def test_an_erasure_leaves_its_proof(api: httpx.AsyncClient, shop: Shop) -> None:
    await reached(api, shop.customer)
    proof = await erased(api, shop.customer)
    removed = {one["what"]: one["count"] for one in proof["data"]["removed"]}
    assert proof["data"]["by"] == "privacy"
    assert len(proof["data"]["keys"]) == 1
    assert removed["contact"] == 1


async def test_after_an_erasure_no_table_holds_the_person(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    await reached(api, shop.customer)
    await erased(api, shop.customer)
    assert MAIL not in await stored(house.database)
    assert (await api.get(f"/customers/{shop.customer}/contact")).status_code == 404


async def test_an_erasure_that_is_asked_for_again_is_done_again(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    await reached(api, shop.customer)
    first = await erased(api, shop.customer)
    await reached(api, shop.customer)
    second = await erased(api, shop.customer)
    assert {*first["data"]["keys"]} < {*second["data"]["keys"]}


async def test_an_erased_customer_may_come_back(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    await erased(api, shop.customer)
    await reached(api, shop.customer)
    contact = (await api.get(f"/customers/{shop.customer}/contact")).json()
    assert contact["addresses"]["email"] == MAIL
    assert ERASED not in str(contact)

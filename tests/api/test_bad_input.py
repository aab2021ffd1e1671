"""Bad requests: the right status, the field named, nothing started and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.service import RPCError, RPCStatusCode

from handrail.http.idempotency import derived_id
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, open_shop, problem

Body = dict[str, Any]
EUR_50 = {"amount": 50_00, "currency": "EUR"}


@dataclass(frozen=True)
class Bad:
    """An order with one mistake, and what is said of it."""

    spoilt: Callable[[Shop], Any]
    slug: str
    where: str
    status: int = 422


def with_(**changes: Any) -> Callable[[Shop], Body]:
    return lambda shop: shop.order(**changes)


def without(name: str) -> Callable[[Shop], Body]:
    return lambda shop: {key: value for key, value in shop.order().items() if key != name}


def line(**changes: Any) -> Callable[[Shop], Body]:
    return lambda shop: shop.order(lines=[shop.line(**changes)])


def line_without(name: str) -> Callable[[Shop], Body]:
    return lambda shop: shop.order(
        lines=[{key: value for key, value in shop.line().items() if key != name}]
    )


def priced(amount: Any, currency: Any = "EUR") -> Callable[[Shop], Body]:
    return line(unit_price={"amount": amount, "currency": currency})


ORDERS = {
    "no customer": Bad(without("customer"), "invalid-request", "#/customer"),
    "no merchant": Bad(without("merchant"), "invalid-request", "#/merchant"),
    "no lines": Bad(without("lines"), "invalid-request", "#/lines"),
    "no instalments": Bad(without("instalments"), "invalid-request", "#/instalments"),
    "no card": Bad(without("card"), "invalid-request", "#/card"),
    "no address": Bad(without("ship_to"), "invalid-request", "#/ship_to"),
    "no SKU": Bad(line_without("sku"), "invalid-request", "#/lines/0/sku"),
    "no quantity": Bad(line_without("quantity"), "invalid-request", "#/lines/0/quantity"),
    "no price": Bad(line_without("unit_price"), "invalid-request", "#/lines/0/unit_price"),
    "empty lines": Bad(with_(lines=[]), "invalid-request", "#/lines"),
    "lines of null": Bad(with_(lines=None), "invalid-request", "#/lines"),
    "101 lines": Bad(
        lambda shop: shop.order(lines=[shop.line(sku=f"sku-{one}") for one in range(101)]),
        "invalid-request",
        "#/lines",
    ),
    "the same SKU twice": Bad(
        lambda shop: shop.order(lines=[shop.line(), shop.line(quantity=1)]),
        "invalid-request",
        "#/lines/1/sku",
    ),
    "quantity 0": Bad(line(quantity=0), "invalid-request", "#/lines/0/quantity"),
    "negative quantity": Bad(line(quantity=-1), "invalid-request", "#/lines/0/quantity"),
    "huge quantity": Bad(line(quantity=1_000_001), "invalid-request", "#/lines/0/quantity"),
    "quantity of a thousand digits": Bad(
        line(quantity=10**1000), "invalid-request", "#/lines/0/quantity"
    ),
    "quantity in words": Bad(line(quantity="2"), "invalid-request", "#/lines/0/quantity"),
    "half a quantity": Bad(line(quantity=1.5), "invalid-request", "#/lines/0/quantity"),
    "quantity true": Bad(line(quantity=True), "invalid-request", "#/lines/0/quantity"),
    "price 0": Bad(priced(0), "invalid-request", "#/lines/0/unit_price/amount"),
    "negative price": Bad(priced(-1), "invalid-request", "#/lines/0/unit_price/amount"),
    "huge price": Bad(priced(10**12 + 1), "invalid-request", "#/lines/0/unit_price/amount"),
    "price in euros": Bad(priced(49.9), "invalid-request", "#/lines/0/unit_price/amount"),
    "price as a number": Bad(line(unit_price=5000), "invalid-request", "#/lines/0/unit_price"),
    "small letters": Bad(priced(1, "eur"), "invalid-request", "#/lines/0/unit_price/currency"),
    "no currency": Bad(priced(1, None), "invalid-request", "#/lines/0/unit_price/currency"),
    "wrong currency": Bad(priced(50_00, "USD"), "wrong-currency", "#/lines/0/unit_price/currency"),
    "a total beyond all bounds": Bad(
        lambda shop: shop.order(
            lines=[
                shop.line(quantity=10**6, unit_price={"amount": 10**12, "currency": "EUR"}),
            ]
        ),
        "invalid-request",
        "#/lines",
    ),
    "a cent in 24 instalments": Bad(
        lambda shop: shop.order(
            instalments=24,
            lines=[shop.line(quantity=1, unit_price={"amount": 1, "currency": "EUR"})],
        ),
        "invalid-request",
        "#/instalments",
    ),
    "0 instalments": Bad(with_(instalments=0), "invalid-request", "#/instalments"),
    "25 instalments": Bad(with_(instalments=25), "invalid-request", "#/instalments"),
    "negative instalments": Bad(with_(instalments=-3), "invalid-request", "#/instalments"),
    "an unknown field": Bad(with_(colour="red"), "invalid-request", "#/colour"),
    "a field to escape": Bad(with_(**{"a/b~c": 1}), "invalid-request", "#/a~1b~0c"),
    "an unknown field of a line": Bad(line(gift=True), "invalid-request", "#/lines/0/gift"),
    "an id with a space": Bad(with_(customer="a b"), "invalid-request", "#/customer"),
    "an id with a slash": Bad(with_(merchant="a/b"), "invalid-request", "#/merchant"),
    "an id with a line break": Bad(with_(merchant="a\n"), "invalid-request", "#/merchant"),
    "an id with a NUL": Bad(with_(merchant="a\0"), "invalid-request", "#/merchant"),
    "an empty id": Bad(with_(customer=""), "invalid-request", "#/customer"),
    "an id that is too long": Bad(with_(customer="c" * 65), "invalid-request", "#/customer"),
    "an id of a number": Bad(with_(customer=7), "invalid-request", "#/customer"),
    "a card number": Bad(with_(card="4111111111111111"), "invalid-request", "#/card"),
    "an unknown merchant": Bad(with_(merchant="nobody"), "unknown-merchant", "#/merchant"),
    "an unknown customer": Bad(with_(customer="nobody"), "unknown-customer", "#/customer"),
    "an unknown SKU": Bad(
        lambda shop: shop.order(lines=[shop.line(), shop.line(sku="nothing")]),
        "unknown-sku",
        "#/lines/1/sku",
    ),
    "a list": Bad(lambda shop: [shop.order()], "invalid-request", "#"),
    "a string": Bad(lambda shop: shop.merchant, "invalid-request", "#"),
}


@pytest.mark.quick(12)
@pytest.mark.parametrize("name", ORDERS)
async def test_a_bad_order_starts_nothing(
    house: House, api: httpx.AsyncClient, shop_of_all: Shop, name: str
) -> None:
    bad, key, actor = ORDERS[name], a_key(), uuid4().hex
    answer = await api.post(
        "/orders",
        json=bad.spoilt(shop_of_all),
        headers={
            "Idempotency-Key": key,
            "Handrail-Token": shop_of_all.token,
            "Handrail-Actor": actor,
        },
    )
    found = problem(answer, bad.status, bad.slug)
    assert bad.where in [one.get("pointer") for one in found["errors"]], found
    assert found["errors"][0]["detail"]
    await assert_nothing_happened(house, key, actor)


@pytest.fixture(scope="package")
async def shop_of_all(api: httpx.AsyncClient) -> Shop:
    return await open_shop(api)


async def assert_nothing_happened(house: House, key: str, actor: str) -> None:
    assert await house.sql("SELECT 1 FROM requests WHERE key = %s", key) == []
    assert await house.sql(OF_THE_BUSINESS, actor) == []
    with pytest.raises(RPCError) as missing:
        await house.temporal.get_workflow_handle(derived_id("ord", "POST /orders", key)).describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND


async def test_every_mistake_is_named_at_once(api: httpx.AsyncClient, shop: Shop) -> None:
    body = shop.order(instalments=0, lines=[shop.line(quantity=-1)], colour="red")
    answer = await api.post("/orders", json=body, headers={"Idempotency-Key": a_key()})
    found = problem(answer, 422, "invalid-request")
    assert {one["pointer"] for one in found["errors"]} == {
        "#/instalments",
        "#/lines/0/quantity",
        "#/colour",
    }


async def test_what_was_sent_is_not_repeated(api: httpx.AsyncClient, shop: Shop) -> None:
    body = shop.order(card="4111111111111111")
    answer = await api.post("/orders", json=body, headers={"Idempotency-Key": a_key()})
    assert "4111111111111111" not in answer.text


@dataclass(frozen=True)
class Raw:
    """A request that is wrong before anybody looks at its fields."""

    status: int
    slug: str
    content: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    header: str = ""


JSON = {"Content-Type": "application/json"}
KEY = {"Idempotency-Key": "k-1"}
RAW = {
    "no JSON": Raw(400, "malformed-request", b"{", JSON | KEY),
    "no body": Raw(422, "invalid-request", b"", JSON | KEY),
    "not UTF-8": Raw(400, "malformed-request", b'{"customer": "\xff"}', JSON | KEY),
    "a number of 5000 digits": Raw(
        400, "malformed-request", b'{"a": 1' + b"0" * 5000 + b"}", JSON | KEY
    ),
    "deeply nested": Raw(400, "malformed-request", b"[" * 100_000, JSON | KEY),
    "NaN": Raw(422, "invalid-request", b'{"instalments": NaN}', JSON | KEY),
    "null": Raw(422, "invalid-request", b"null", JSON | KEY),
    "half a surrogate": Raw(422, "invalid-request", b'{"merchant": "\\ud800"}', JSON | KEY),
    "no content type": Raw(415, "unsupported-media-type", b"{}", KEY),
    "a form": Raw(
        415,
        "unsupported-media-type",
        b"customer=c",
        {"Content-Type": "application/x-www-form-urlencoded"} | KEY,
    ),
    "text": Raw(415, "unsupported-media-type", b"{}", {"Content-Type": "text/plain"} | KEY),
    "too large": Raw(413, "body-too-large", b" " * (256 * 1024 + 1), JSON | KEY),
    "no key": Raw(400, "idempotency-key-missing", b"{}", JSON, "Idempotency-Key"),
    "an empty key": Raw(
        400, "malformed-header", b"{}", JSON | {"Idempotency-Key": ""}, "Idempotency-Key"
    ),
    "a key of words": Raw(
        400, "malformed-header", b"{}", JSON | {"Idempotency-Key": "a key"}, "Idempotency-Key"
    ),
    "half a quoted key": Raw(
        400, "malformed-header", b"{}", JSON | {"Idempotency-Key": '"k'}, "Idempotency-Key"
    ),
    "a key too long": Raw(
        400, "malformed-header", b"{}", JSON | {"Idempotency-Key": "k" * 129}, "Idempotency-Key"
    ),
    "an actor of words": Raw(
        400, "malformed-header", b"{}", JSON | KEY | {"Handrail-Actor": "Ann B"}, "Handrail-Actor"
    ),
}


@pytest.mark.parametrize("name", RAW)
async def test_a_request_that_cannot_be_read(
    house: House, api: httpx.AsyncClient, name: str
) -> None:
    raw = RAW[name]
    answer = await api.post("/orders", content=raw.content, headers=raw.headers)
    found = problem(answer, raw.status, raw.slug)
    if raw.header:
        assert [one["header"] for one in found["errors"]] == [raw.header]
    assert await house.sql("SELECT 1 FROM requests WHERE key = 'k-1'") == []


async def test_a_body_without_a_length_is_limited_too(api: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(1000):
            yield b" " * 1024

    answer = await api.post("/orders", content=endless(), headers=JSON | KEY)
    problem(answer, 413, "body-too-large")


@dataclass(frozen=True)
class Write:
    method: str
    path: str
    body: Any
    slug: str
    where: str
    status: int = 422


WRITES = {
    "a limit without a limit": Write(
        "PUT", "/customers/{id}/limit", {}, "invalid-request", "#/limit"
    ),
    "a negative limit": Write(
        "PUT",
        "/customers/{id}/limit",
        {"limit": {"amount": -1, "currency": "EUR"}},
        "invalid-request",
        "#/limit/amount",
    ),
    "a huge limit": Write(
        "PUT",
        "/customers/{id}/limit",
        {"limit": {"amount": 10**13, "currency": "EUR"}},
        "invalid-request",
        "#/limit/amount",
    ),
    "a fee above all": Write(
        "PUT",
        "/merchants/{id}",
        {"currency": "EUR", "fee_bps": 10_001},
        "invalid-request",
        "#/fee_bps",
    ),
    "no currency of this world": Write(
        "PUT",
        "/merchants/{id}",
        {"currency": "Euro", "fee_bps": 1},
        "invalid-request",
        "#/currency",
    ),
    "a merchant with a name": Write(
        "PUT",
        "/merchants/{id}",
        {"currency": "EUR", "fee_bps": 1, "name": "x"},
        "invalid-request",
        "#/name",
    ),
    "an empty delivery": Write(
        "POST",
        "/merchants/{id}/stock",
        {"sku": "a", "delivery": "d", "quantity": 0},
        "invalid-request",
        "#/quantity",
    ),
    "a delivery to nobody": Write(
        "POST",
        "/merchants/{id}/stock",
        {"sku": "a", "delivery": "d", "quantity": 1},
        "not-found",
        "",
        404,
    ),
}


OF_THE_BUSINESS = (
    "SELECT 1 FROM events WHERE metadata->>'actor' = %s AND stream NOT LIKE 'audit-%%'"
)
"""Acts of operators are stored, also those that were refused."""


@pytest.mark.parametrize("name", WRITES)
async def test_a_bad_write_stores_nothing(house: House, api: httpx.AsyncClient, name: str) -> None:
    write, id_, actor = WRITES[name], uuid4().hex, uuid4().hex
    answer = await api.request(
        write.method,
        write.path.format(id=id_),
        json=write.body,
        headers={"Handrail-Actor": actor},
    )
    found = problem(answer, write.status, write.slug)
    if write.where:
        assert [one["pointer"] for one in found["errors"]] == [write.where]
    assert await house.sql(OF_THE_BUSINESS, actor) == []
    assert await house.sql("SELECT 1 FROM commands WHERE saga LIKE %s", f"%{id_}%") == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/orders?limit=0", "limit"),
        ("/orders?limit=201", "limit"),
        ("/orders?limit=many", "limit"),
        ("/orders?status=lost", "status"),
        ("/orders?customer=a%00b", "customer"),
        ("/orders?colour=red", "colour"),
        ("/sagas?status=lost", "status"),
        ("/sagas?step=%00", "step"),
        ("/orders/a%00b", "order"),
        ("/orders/ord-1?as_of=yesterday", "as_of"),
        ("/orders/ord-1?as_of=2026-03-02T12:00:00", "as_of"),
        ("/streams/nothing", "stream"),
    ],
)
async def test_a_bad_parameter_is_named(api: httpx.AsyncClient, path: str, name: str) -> None:
    found = problem(await api.get(path), 422, "invalid-request")
    assert [one["parameter"] for one in found["errors"]] == [name]

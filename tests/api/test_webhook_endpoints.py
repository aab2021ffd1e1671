"""Webhook endpoints over HTTP: a merchant has its own, sees a secret once, and no other's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from handrail.access.principal import Visibility
from handrail.cli import webhook_endpoints as cli
from handrail.cli.sagas import Why
from handrail.http.database import Database
from handrail.privacy.texts import CLEAR
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import problem

MINE, THEIRS = f"m-{uuid4().hex[:8]}", f"m-{uuid4().hex[:8]}"
PLACED = "ordering.OrderPlaced.v1"
URL = "https://hooks.example.org/handrail"
BASE = "/webhook-endpoints"


@pytest.fixture(scope="module")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    known = Callers(
        {
            "mine": caller("m", "merchant", tenant=MINE),
            "theirs": caller("n", "merchant", tenant=THEIRS),
            "customer": caller("c", "customer", party="c-1"),
            "reader": caller("r", "reader"),
            "operator": caller("o", "operator"),
        }
    )
    async with house.api(authentication=known) as client:
        yield client


async def register(api: httpx.AsyncClient, word: str = "mine", **more: Any) -> httpx.Response:
    body = {"url": URL, "events": [PLACED], **more}
    return await api.post(BASE, json=body, headers=signed_in(word))


@pytest.fixture
async def endpoint(api: httpx.AsyncClient) -> AsyncIterator[dict[str, Any]]:
    made = await register(api)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    yield found
    await api.delete(f"{BASE}/{found['endpoint']}", headers=signed_in("operator"))


async def test_the_secret_is_shown_once_and_stored_sealed(
    api: httpx.AsyncClient, house: House, endpoint: dict[str, Any]
) -> None:
    assert endpoint["secret"].startswith("whsec_")
    shown = await api.get(f"{BASE}/{endpoint['endpoint']}", headers=signed_in("mine"))
    assert endpoint["secret"] not in shown.text
    assert "secret" not in shown.json()
    [(stored,)] = await house.sql(
        "SELECT secret FROM webhook_endpoints WHERE id = %s", endpoint["endpoint"]
    )
    assert endpoint["secret"] not in stored
    assert await house.personal.reveal(stored) == endpoint["secret"]


async def test_without_keys_nothing_is_registered(house: House) -> None:
    bare = House(house.database, house.engine, house.temporal, house.queue_prefix, CLEAR)
    async with bare.api() as api:
        answer = await api.post(BASE, json={"url": URL, "events": [PLACED], "merchant": MINE})
    problem(answer, 503, "subject-keys-missing")


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"url": "http://hooks.example.org/x"}, "#/url"),
        ({"url": "https://user:word@hooks.example.org/x"}, "#/url"),
        ({"url": "https://127.0.0.1/x"}, "#/url"),
        ({"url": "https://[::ffff:10.0.0.1]/x"}, "#/url"),
        ({"url": "https://169.254.169.254/latest"}, "#/url"),
        ({"url": "https://hooks.example.org:22/x"}, "#/url"),
        ({"url": "ftp://hooks.example.org/x"}, "#/url"),
        ({"events": ["credit.CreditHeld.v1"]}, "#/events/0"),
        ({"events": [PLACED, "ordering.OrderPlaced.v2"]}, "#/events/1"),
        ({"events": []}, "#/events"),
        ({"events": [PLACED] * 101}, "#/events"),
        ({"merchant": THEIRS}, "#/merchant"),
        ({"description": "x" * 201}, "#/description"),
    ],
)
async def test_what_is_wrong_is_named(
    api: httpx.AsyncClient, more: dict[str, Any], where: str
) -> None:
    found = problem(await register(api, **more), 422, "invalid-request")
    assert where in {one["pointer"] for one in found["errors"]}


async def test_an_operator_says_whose_it_is(api: httpx.AsyncClient) -> None:
    nobodys = problem(await register(api, "operator"), 422, "invalid-request")
    assert nobodys["errors"][0]["pointer"] == "#/merchant"
    made = (await register(api, "operator", merchant=THEIRS)).json()
    shown = await api.get(f"{BASE}/{made['endpoint']}", headers=signed_in("theirs"))
    assert shown.status_code == 200, shown.text
    assert shown.json()["merchant"] == THEIRS
    await api.delete(f"{BASE}/{made['endpoint']}", headers=signed_in("theirs"))


ACTS = [
    ("GET", "", None),
    ("DELETE", "", None),
    ("GET", "/deliveries", None),
    ("POST", "/rotate", {}),
    ("POST", "/disable", {"reason": "mine now"}),
    ("POST", "/enable", {"reason": "mine now"}),
    ("POST", "/test", {}),
    ("POST", "/redeliver", {"reason": "mine now"}),
    ("POST", "/deliveries/msg_1/redeliver", {"reason": "mine now"}),
    ("POST", "/deliveries/msg_1/discard", {"reason": "mine now"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ACTS, ids=[one[1] or one[0] for one in ACTS])
async def test_anothers_endpoint_does_not_exist(
    api: httpx.AsyncClient, endpoint: dict[str, Any], method: str, path: str, body: Any
) -> None:
    address = f"{BASE}/{endpoint['endpoint']}{path}"
    answer = await api.request(method, address, json=body, headers=signed_in("theirs"))
    problem(answer, 404, "not-found")


async def test_a_list_holds_its_own_alone(api: httpx.AsyncClient, endpoint: dict[str, Any]) -> None:
    async def seen(word: str, **asked: str) -> set[str]:
        answer = await api.get(BASE, params=asked, headers=signed_in(word))
        return {one["endpoint"] for one in answer.json()["items"]}

    assert endpoint["endpoint"] in await seen("mine")
    assert endpoint["endpoint"] in await seen("reader")
    assert endpoint["endpoint"] not in await seen("theirs")
    assert endpoint["endpoint"] not in await seen("theirs", merchant=MINE)


async def test_row_level_security_alone_shows_the_endpoints_of_a_tenant(
    house: House, endpoint: dict[str, Any]
) -> None:
    for tenant, there in ((MINE, True), (THEIRS, False), ("", False)):
        database = Database(house.engine, Visibility(tenant=tenant))
        async with database.connection() as connection:
            found = (await connection.execute(text("SELECT id FROM webhook_endpoints"))).scalars()
            assert (endpoint["endpoint"] in set(found)) is there


async def test_who_may_only_read_changes_nothing(
    api: httpx.AsyncClient, endpoint: dict[str, Any]
) -> None:
    problem(await register(api, "reader", merchant=MINE), 403, "scope-missing")
    problem(await register(api, "customer"), 403, "scope-missing")
    gone = await api.delete(f"{BASE}/{endpoint['endpoint']}", headers=signed_in("reader"))
    problem(gone, 403, "scope-missing")


async def test_two_secrets_are_valid_at_once_and_no_third(
    api: httpx.AsyncClient, house: House, endpoint: dict[str, Any]
) -> None:
    address = f"{BASE}/{endpoint['endpoint']}/rotate"
    new = await api.post(address, json={"overlap_hours": 1}, headers=signed_in("mine"))
    assert new.json()["secret"] != endpoint["secret"]
    assert new.json()["earlier_secret_until"]
    [(secret, earlier)] = await house.sql(
        "SELECT secret, earlier_secret FROM webhook_endpoints WHERE id = %s", endpoint["endpoint"]
    )
    assert await house.personal.reveal(secret) == new.json()["secret"]
    assert await house.personal.reveal(earlier) == endpoint["secret"]
    problem(await api.post(address, json={}, headers=signed_in("mine")), 409, "out-of-order")


async def test_a_tenant_has_at_most_so_many(api: httpx.AsyncClient) -> None:
    made = [await register(api, "theirs") for _ in range(11)]
    problem(made[-1], 409, "too-many-endpoints")
    ids = [one.json()["endpoint"] for one in made[:-1]]
    assert len(ids) == 10
    for one in ids:
        gone = await api.delete(f"{BASE}/{one}", headers=signed_in("theirs"))
        assert gone.status_code == 200
    again = await register(api, "theirs")
    assert again.status_code == 201
    await api.delete(f"{BASE}/{again.json()['endpoint']}", headers=signed_in("theirs"))


async def test_each_act_is_in_the_audit_before_its_answer(
    api: httpx.AsyncClient, house: House, endpoint: dict[str, Any]
) -> None:
    address = f"{BASE}/{endpoint['endpoint']}/disable"
    await api.post(address, json={"reason": "we move"}, headers=signed_in("mine"))
    found = await house.sql(
        "SELECT type, data ->> 'act', data ->> 'principal' FROM events WHERE stream LIKE 'audit-%%'"
        " AND data ->> 'act' LIKE '%%/disable' ORDER BY position DESC LIMIT 2"
    )
    act = "POST /webhook-endpoints/{endpoint}/disable"
    assert found == [
        ("OperatorActAnswered", act, "person:m"),
        ("OperatorActRequested", act, "person:m"),
    ]


async def test_disabled_and_enabled_say_by_whom_and_why(
    api: httpx.AsyncClient, endpoint: dict[str, Any]
) -> None:
    address, mine = f"{BASE}/{endpoint['endpoint']}", signed_in("mine")
    off = (await api.post(f"{address}/disable", json={"reason": "we move"}, headers=mine)).json()
    assert (off["state"], off["state_because"]) == ("disabled", "we move")
    problem(
        await api.post(f"{address}/disable", json={"reason": "x"}, headers=mine),
        409,
        "out-of-order",
    )
    problem(await api.post(f"{address}/test", json={}, headers=mine), 409, "out-of-order")
    on = (await api.post(f"{address}/enable", json={"reason": "moved"}, headers=mine)).json()
    assert (on["state"], on["state_because"]) == ("active", "moved")


async def test_a_test_is_among_the_deliveries_and_can_be_discarded(
    api: httpx.AsyncClient, endpoint: dict[str, Any]
) -> None:
    address, mine = f"{BASE}/{endpoint['endpoint']}", signed_in("mine")
    sent = (await api.post(f"{address}/test", json={}, headers=mine)).json()["delivery"]
    [shown] = (await api.get(f"{address}/deliveries", headers=mine)).json()["items"]
    assert (shown["delivery"], shown["state"]) == (sent, "waiting")
    gone = f"{address}/deliveries/{sent}/discard"
    assert (await api.post(gone, json={"reason": "enough"}, headers=mine)).status_code == 200
    problem(await api.post(gone, json={"reason": "enough"}, headers=mine), 404, "not-found")
    again = f"{address}/deliveries/{sent}/redeliver"
    assert (await api.post(again, json={"reason": "after all"}, headers=mine)).status_code == 202
    [shown] = (await api.get(f"{address}/deliveries", headers=mine)).json()["items"]
    assert shown["state"] == "waiting"


async def test_an_operator_does_it_all_at_the_command_line(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_API_URL", str(api.base_url).rstrip("/"))
    monkeypatch.setenv("HANDRAIL_API_TOKEN", "operator")
    why = Why(reason="as asked")

    async def said(command: Callable[..., int], *arguments: Any, **options: Any) -> dict[str, Any]:
        capsys.readouterr()
        call = partial(command, *arguments, json=True, **options)
        assert await asyncio.to_thread(call) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert PLACED in (await said(cli.events))["events"]
    made = await said(cli.create, URL, event=[PLACED], tenant=MINE)
    id_ = made["endpoint"]
    assert (await said(cli.rotate, id_))["secret"] != made["secret"]
    sent = await said(cli.send_test, id_)
    [shown] = (await said(cli.deliveries, id_))["deliveries"]
    assert shown["delivery"] == sent["delivery"]
    assert (await said(cli.redeliver, id_, shown["delivery"], why=why))["deliveries"] == 1
    assert (await said(cli.redeliver, id_, why=why))["deliveries"] == 0
    await said(cli.discard, id_, shown["delivery"], why=why)
    assert (await said(cli.disable, id_, why=why))["state"] == "disabled"
    assert (await said(cli.enable, id_, why=why))["state"] == "active"
    listed = await said(cli.list_endpoints, tenant=MINE)
    assert [one["endpoint"] for one in listed["endpoints"]] == [id_]
    await said(cli.delete, id_)
    assert (await said(cli.list_endpoints, tenant=MINE))["endpoints"] == []

"""The topology is made, compared and mended at a real broker."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
import pytest

from handrail.messaging.broker.definitions import Access, document
from handrail.messaging.broker.management_api import login_in
from tests.messaging.broker.house import House, password_of

HOLD = "bindings/finance/e/money/q/ledger"
KEY = "payments.RefundPaid.*"


async def test_what_is_made_is_what_is_declared(house: House) -> None:
    assert not await house.diff()
    assert {one["name"] for one in await house.get("queues/finance")} == {
        "ledger",
        "dead",
        "unrouted",
    }
    ledger = await house.get("queues/finance/ledger")
    assert ledger["arguments"] == {"x-queue-type": "quorum", "x-single-active-consumer": True}
    assert (await house.get("exchanges/finance/money"))["policy"] == "federated"


class Damage(NamedTuple):
    method: str
    path: str
    body: Any
    how: str
    named: str


DAMAGE = [
    Damage("DELETE", "queues/finance/ledger", None, "missing", "queue finance/ledger"),
    Damage("DELETE", "exchanges/logistics/dead", None, "missing", "exchange logistics/dead"),
    Damage("DELETE", "vhosts/customers", None, "missing", "virtual host customers"),
    Damage("DELETE", "users/relay", None, "missing", "user relay"),
    Damage("DELETE", "permissions/commerce/relay", None, "missing", "permission commerce/relay"),
    Damage("DELETE", "policies/finance/consumed", None, "missing", "policy finance/consumed"),
    Damage(
        "DELETE",
        "parameters/federation-upstream/finance/commerce",
        None,
        "missing",
        "upstream finance/commerce",
    ),
    Damage(
        "DELETE",
        f"{HOLD}/{KEY.replace('*', '%2A')}",
        None,
        "missing",
        f"binding finance/money → ledger ({KEY})",
    ),
    Damage(
        "PUT",
        "users/relay",
        {"password": "guessed", "tags": "handrail"},
        "different",
        "user relay",
    ),
    Damage(
        "PUT",
        "users/relay",
        {"password": password_of("relay"), "tags": "administrator"},
        "different",
        "user relay",
    ),
    Damage(
        "PUT",
        "permissions/commerce/relay",
        {"configure": "", "write": ".*", "read": ""},
        "different",
        "permission commerce/relay",
    ),
    Damage(
        "PUT",
        "policies/finance/consumed",
        {"pattern": "^ledger$", "apply-to": "queues", "definition": {"delivery-limit": 3}},
        "different",
        "policy finance/consumed",
    ),
    Damage(
        "PUT",
        "parameters/federation-upstream/finance/commerce",
        {"value": {"uri": "amqp://elsewhere"}},
        "different",
        "upstream finance/commerce",
    ),
    Damage("PUT", "queues/finance/more", {"durable": True}, "extra", "queue finance/more"),
    Damage("PUT", "exchanges/commerce/more", {"type": "topic"}, "extra", "exchange commerce/more"),
    Damage(
        "POST",
        HOLD,
        {"routing_key": "credit.#"},
        "extra",
        "binding finance/money → ledger (credit.#)",
    ),
    Damage(
        "PUT",
        "policies/finance/more",
        {"pattern": ".*", "definition": {"max-length": 1}, "priority": 9},
        "extra",
        "policy finance/more",
    ),
    Damage(
        "PUT",
        "permissions/commerce/finance",
        {"configure": "", "write": "", "read": ".*"},
        "extra",
        "permission commerce/finance",
    ),
    Damage("PUT", "users/former", {"password": "x", "tags": "handrail"}, "extra", "user former"),
]


@pytest.mark.quick(5)
@pytest.mark.parametrize("damage", DAMAGE, ids=[f"{one.how} {one.named}" for one in DAMAGE])
async def test_each_drift_is_named_and_mended(house: House, damage: Damage) -> None:
    await house.ask(damage.method, damage.path, damage.body)

    unlike = await house.diff()
    others = {"missing", "different", "extra"} - {damage.how}
    assert damage.named in {str(key) for key in getattr(unlike, damage.how)}
    assert not any(getattr(unlike, other) for other in others)

    assert await house.apply(prune=True) == {}
    assert not await house.diff()


async def test_only_prune_deletes(house: House) -> None:
    await house.ask("PUT", "queues/finance/more", {"durable": True})

    await house.apply()

    assert (await house.diff()).extra
    assert "more" in {one["name"] for one in await house.get("queues/finance")}


async def test_a_queue_with_messages_is_not_pruned(house: House) -> None:
    await house.ask("PUT", "queues/finance/more", {"durable": True})
    message = {
        "properties": {},
        "routing_key": "more",
        "payload": "x",
        "payload_encoding": "string",
    }
    await house.ask("POST", "exchanges/finance/amq.default/publish", message)

    [(key, why)] = (await house.apply(prune=True)).items()

    assert str(key) == "queue finance/more"
    assert "not empty" in why or "empty" in why
    await house.ask("DELETE", "queues/finance/more")


async def test_what_cannot_be_changed_is_left_with_what_to_do_and_the_rest_is_made(
    house: House,
) -> None:
    await house.ask("DELETE", "queues/finance/ledger")
    await house.ask("PUT", "queues/finance/ledger", {"durable": True})
    await house.ask("DELETE", "queues/logistics/packing")

    [(key, why)] = (await house.apply()).items()

    assert str(key) == "queue finance/ledger"
    assert "x-queue-type" in why
    assert "delete it" in why
    assert [str(one) for one in (await house.diff()).different] == ["queue finance/ledger"]
    assert "packing" in {one["name"] for one in await house.get("queues/logistics")}

    await house.ask("DELETE", "queues/finance/ledger")
    assert await house.apply() == {}
    assert not await house.diff()


async def test_secrets_are_not_told(house: House) -> None:
    await house.ask("PUT", "users/relay", {"password": "guessed", "tags": "handrail"})
    other = {"value": {"uri": "amqp://a:hidden@elsewhere"}}
    await house.ask("PUT", "parameters/federation-upstream/finance/commerce", other)

    said = "; ".join((await house.diff()).different.values())

    assert said.count("another") == 2
    for secret in ("guessed", "hidden", "p@ss", "p%40ss"):
        assert secret not in said


async def test_exported_definitions_have_no_password_of_a_user(house: House) -> None:
    passwords = {user: password_of(user) for user in house.declared.users}
    login = login_in(house.server.management_url)
    exported = document(house.declared, Access(passwords, "amqp://localhost:5672", login))

    assert login[1] not in str(exported)
    for user in exported["users"]:
        assert set(user) == {"name", "password_hash", "hashing_algorithm", "tags"}
    assert len({user["password_hash"][:5] for user in exported["users"]}) > 1  # salted


async def test_without_the_right_to_manage_it_says_so(house: House) -> None:
    answer = await house.http.get("/api/overview", auth=("finance", password_of("finance")))

    assert answer.status_code == httpx.codes.UNAUTHORIZED

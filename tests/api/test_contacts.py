"""How customers are reached, and what they were told, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import House
from tests.api.shop import problem
from tests.controls import a_customer

CONTACT: dict[str, Any] = {
    "language": "de",
    "time_zone": "Europe/Berlin",
    "quiet_hours": {"begin": "21:00", "end": "07:30"},
    "addresses": {"push": "device-7f3a", "sms": None, "email": "ann@example.org"},
    "choices": {"deliveries": {"sms": True}, "campaigns": {"email": True}},
}


async def test_a_contact_is_kept_as_it_was_said(api: httpx.AsyncClient, house: House) -> None:
    path = f"/customers/{(customer := a_customer())}/contact"
    put = await api.put(path, json=CONTACT, headers={"Handrail-Actor": "ann"})
    got = await api.get(path)
    assert put.status_code == got.status_code == 200
    assert put.json() == got.json()
    links = got.json().pop("links")
    assert got.json() == {"customer": customer, **CONTACT, "links": links}
    assert await house.sql(
        "SELECT changed_by FROM notification_contacts WHERE customer = %s", customer
    ) == [("ann",)]


async def test_what_is_left_out_is_as_if_it_was_never_said(api: httpx.AsyncClient) -> None:
    path = f"/customers/{a_customer()}/contact"
    await api.put(path, json=CONTACT)
    await api.put(path, json={"language": "en", "time_zone": "UTC"})
    found = (await api.get(path)).json()
    assert found["addresses"] == {"push": None, "sms": None, "email": None}
    assert found["choices"] == {}
    assert found["quiet_hours"] == {"begin": "22:00", "end": "08:00"}


async def test_somebody_may_have_no_quiet_hours(api: httpx.AsyncClient) -> None:
    path = f"/customers/{a_customer()}/contact"
    await api.put(path, json={**CONTACT, "quiet_hours": None})
    assert (await api.get(path)).json()["quiet_hours"] is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"language": "fr"}, "#/language"),
        ({"time_zone": "Europe/Atlantis"}, "#/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "#/time_zone"),
        ({"time_zone": ""}, "#/time_zone"),
        ({"quiet_hours": {"begin": "24:00", "end": "08:00"}}, "#/quiet_hours/begin"),
        ({"quiet_hours": {"begin": "08:00", "end": "08:00"}}, "#/quiet_hours"),
        ({"quiet_hours": {"begin": "08:00"}}, "#/quiet_hours/end"),
        ({"addresses": {"sms": "0151"}}, "#/addresses/sms"),
        ({"addresses": {"email": "ann"}}, "#/addresses/email"),
        ({"addresses": {"email": "ann@exam ple"}}, "#/addresses/email"),
        ({"addresses": {"fax": "1"}}, "#/addresses/fax"),
        ({"choices": {"gossip": {}}}, "#/choices/gossip"),
        ({"choices": {"orders": {"fax": True}}}, "#/choices/orders/fax"),
        ({"choices": {"orders": {"push": "maybe"}}}, "#/choices/orders/push"),
        ({"shoe_size": 43}, "#/shoe_size"),
    ],
)
async def test_a_contact_that_cannot_be_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], where: str
) -> None:
    path = f"/customers/{a_customer()}/contact"
    answer = await api.put(path, json={**CONTACT, **changes})
    errors = problem(answer, 422, "invalid-request")["errors"]
    assert any(one["pointer"].startswith(where) for one in errors), errors
    problem(await api.get(path), 404, "not-found")


async def enqueue(house: House, customer: str, source: str, **columns: Any) -> None:
    row = {
        "lane": "transactional",
        "channel": "email",
        "kind": "order-confirmed",
        "language": "en",
        "subject": "Subject",
        "body": "Text",
        "state": "sent",
        **columns,
    }
    await house.sql(
        f"INSERT INTO notifications (customer, source, due_at, {', '.join(row)})"
        f" VALUES (%s, %s, now(){', %s' * len(row)})",
        *(customer, source, *row.values()),
    )


async def test_messages_are_listed_newest_first_page_by_page(
    api: httpx.AsyncClient, house: House
) -> None:
    customer, other = a_customer(), a_customer()
    for number in range(5):
        for channel in ("email", "push"):
            await enqueue(house, customer, f"{customer}-{number}", channel=channel)
    await enqueue(house, other, f"{other}-1")
    path: str | None = f"/customers/{customer}/messages?limit=3"
    seen = []
    while path:
        found = (await api.get(path)).json()
        assert len(found["items"]) <= 3
        seen += [(one["about"], one["channel"]) for one in found["items"]]
        path = found["next"]
    assert seen == [
        (f"{customer}-{number}", channel)
        for number in reversed(range(5))
        for channel in ("push", "email")
    ]


async def test_messages_can_be_narrowed_down(api: httpx.AsyncClient, house: House) -> None:
    customer = a_customer()
    await enqueue(house, customer, f"{customer}-1", order_id="o-1")
    await enqueue(house, customer, f"{customer}-2", state="parked", reason="HTTP 500")
    await enqueue(house, customer, f"{customer}-3", state="parked", channel="push")
    path = f"/customers/{customer}/messages"
    [found] = (await api.get(f"{path}?state=parked&channel=email")).json()["items"]
    assert (found["about"], found["reason"]) == (f"{customer}-2", "HTTP 500")
    [sent] = (await api.get(f"{path}?state=sent")).json()["items"]
    assert sent["links"] == {"order": "/orders/o-1"}
    problem(await api.get(f"{path}?state=eaten"), 422, "invalid-request")
    problem(await api.get(f"{path}?cursor=abc"), 400, "bad-cursor")


async def test_a_campaign_is_shown_in_its_words(api: httpx.AsyncClient, house: House) -> None:
    customer = a_customer()
    texts = '{"en": {"subject": "Sale", "body": "All lamps"}}'
    await house.sql(
        "INSERT INTO campaigns (name, channel, texts, listed, fingerprint, started_by)"
        " VALUES (%s, 'email', %s, false, '', 'ann')",
        f"sale-{customer}",
        texts,
    )
    columns = {"lane": "campaign", "kind": "campaign", "campaign": f"sale-{customer}"}
    await enqueue(house, customer, f"c/{customer}", **columns, subject=None, body=None)
    [found] = (await api.get(f"/customers/{customer}/messages")).json()["items"]
    assert (found["subject"], found["text"]) == ("Sale", "All lamps")


async def test_who_is_forgotten_leaves_no_address_behind(
    api: httpx.AsyncClient, house: House
) -> None:
    path = f"/customers/{(customer := a_customer())}/contact"
    await api.put(path, json=CONTACT)
    await enqueue(house, customer, f"{customer}-1", address="ann@example.org")
    for _ in range(2):
        assert (await api.delete(path)).status_code == 204
    problem(await api.get(path), 404, "not-found")
    assert await house.sql("SELECT address FROM notifications WHERE customer = %s", customer) == [
        (None,)
    ]


async def test_who_was_never_written_to_has_an_empty_list(api: httpx.AsyncClient) -> None:
    found = (await api.get(f"/customers/{a_customer()}/messages")).json()
    assert found == {"items": [], "next": None}

"""The timeline of an entity: events, steps, messages out, webhooks in, and notifications."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from handrail.console import timeline
from handrail.console.timeline import Beside, merged
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.console.parked import Parked, eventually_shows, shown, text_of

_ROWS = re.compile(r"<tr>.*?</tr>", re.DOTALL)


def rows(html: str) -> list[str]:
    """Of the timeline, as text."""
    return [text_of(one) for one in _ROWS.findall(html.partition('id="timeline"')[2])]


async def is_told(house: House, order: str, customer: str) -> None:
    """A webhook about the order, and a notification about its placing."""
    await house.sql(
        "INSERT INTO webhooks (source, id, type, order_id, body, status, problem)"
        " VALUES ('bank', %s, 'payment.disputed', %s, '', 'unknown', 'no such payment')",
        f"msg-{order}",
        order,
    )
    await house.sql(
        "INSERT INTO notifications (lane, source, channel, kind, customer, order_id, language,"
        " body, state, due_at)"
        " VALUES ('transactional', %s, 'email', 'order-approved', %s, %s, 'en', 'text', 'waiting',"
        " now())",
        f"order-{order}/1#2",
        customer,
        order,
    )


async def test_the_timeline_has_what_came_in_and_what_was_sent_beside_the_events(
    house: House, api: httpx.AsyncClient, parked: Parked
) -> None:
    await is_told(house, parked.saga, parked.shop.customer)
    html = await shown(api, f"/console/orders/{parked.saga}")
    found = rows(html)
    newest = " | ".join(found[1:3])
    assert "webhook in payment.disputed" in newest
    assert "unknown: no such payment" in newest
    assert "notification order-approved email" in newest
    assert f'href="/console/events/order-{parked.saga}/1"' in html
    assert any(" saga step " in one for one in found)
    assert any(" event " in one for one in found)


async def test_what_a_person_decided_is_said_to_be_an_intervention(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    asked = {"id": "int-1", "kind": "correct", "reason": "a typo"}
    answer = await api.post(
        f"/sagas/{parked.saga}/interventions", json={**asked, "correction": {"ship_to": "addr_ok"}}
    )
    assert answer.status_code == 202, answer.text
    await eventually_shows(api, f"/console/orders/{parked.saga}", " intervention Saga resumed")


async def a_relay(house: House, *, since: str) -> None:
    """As the relay's checkpoints say how far it is."""
    await house.sql(
        "INSERT INTO checkpoints (projection, shard, since)"
        " SELECT 'relay', s, CAST(%s AS pg_snapshot) FROM generate_series(0, 15) AS s"
        " ON CONFLICT (projection, shard) DO UPDATE SET since = excluded.since",
        since,
    )


async def test_each_event_says_its_routing_key_and_whether_it_is_published_or_waits(
    house: House, api: httpx.AsyncClient, parked: Parked
) -> None:
    path = f"/console/orders/{parked.saga}"
    try:
        await a_relay(house, since="1:1:")
        assert any("ordering.OrderPlaced.v1 waits" in one for one in rows(await shown(api, path)))
        [(now,)] = await house.sql("SELECT pg_current_snapshot()::text")
        await a_relay(house, since=now)
        html = await shown(api, path)
        assert any("ordering.OrderPlaced.v1 published" in one for one in rows(html))
        await house.sql(
            "INSERT INTO parked_events (projection, stream, position, cause)"
            " SELECT 'relay/events', stream, position, 'a cause' FROM events"
            " WHERE stream = %s AND version = 1",
            f"order-{parked.saga}",
        )
        html = await shown(api, path)
        assert any("ordering.OrderPlaced.v1 parked" in one for one in rows(html))
        assert f'href="/console/broker/events/parked/order-{parked.saga}"' in html
    finally:
        await house.sql("DELETE FROM parked_events WHERE projection = 'relay/events'")
        await house.sql("DELETE FROM checkpoints WHERE projection = 'relay'")


async def test_without_a_relay_nothing_is_said_of_the_broker(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    found = rows(await shown(api, f"/console/orders/{parked.saga}"))
    assert not any("ordering.OrderPlaced" in one for one in found)


async def test_a_long_timeline_comes_in_pages_that_have_every_event_once(
    house: House, api: httpx.AsyncClient, parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await is_told(house, parked.saga, parked.shop.customer)
    path = f"/console/orders/{parked.saga}"
    whole = [one for one in rows(await shown(api, path)) if "Show" in one]
    monkeypatch.setattr(timeline, "SHOWN", 4)
    monkeypatch.setattr("handrail.console.routes.entities.SHOWN", 4)
    found: list[str] = []
    webhooks = 0
    while path:
        html = await shown(api, path)
        found += [one for one in rows(html) if "Show" in one]
        webhooks += sum("webhook in" in one for one in rows(html))
        earlier = re.search(r'href="([^"]*\?before=\d+)"', html)
        path = earlier[1] if earlier else ""
    assert sorted(found) == sorted(whole)
    assert webhooks == 1


async def test_what_a_principal_may_not_read_is_not_in_the_timeline(
    house: House, parked: Parked
) -> None:
    await is_told(house, parked.saga, parked.shop.customer)
    known = Callers({"reader": caller("r", "reader"), "operator": caller("o", "operator")})
    async with house.api(authentication=known) as client:
        for word in ("reader", "operator"):
            scopes = caller("x", word).scopes
            answer = await client.get(f"/console/orders/{parked.saga}", headers=signed_in(word))
            found = " | ".join(rows(answer.text))
            assert ("webhook in" in found) == ("webhooks:read" in scopes)
            assert ("notification " in found) == ("contacts:read" in scopes)


def test_what_is_no_event_stands_between_the_events_of_its_time() -> None:
    def at(minute: int) -> datetime:
        return datetime(2026, 3, 2, 12, minute, tzinfo=UTC)

    events: list[dict[str, Any]] = [{"recorded_at": at(one), "n": one} for one in (1, 3, 5)]
    others = [Beside("webhook", at(one), f"w{one}", "", "", "", None) for one in (0, 4, 6)]
    found = [one.name if isinstance(one, Beside) else one["n"] for one in merged(events, others)]
    assert found == ["w6", 5, "w4", 3, 1, "w0"]

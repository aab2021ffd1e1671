"""The carrier's port over real HTTP: what it books, and what it tells when nothing is certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession

from activities.shipping.gateway import Carrier, HttpCarrier
from handrail.activities.http_gateway import OutsideKeyReused, OutsideUnavailable
from handrail.replies import Accepted, Declined, Reply
from handrail.simulators.in_process import served
from runtime.simulators.carrier import create_carrier
from tests.unencrypted import a_client, company

ORDER = "order-7"
DO, UNDO, DO_2 = f"{ORDER}/1/book/do", f"{ORDER}/1/book/undo", f"{ORDER}/2/book/do"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(create_carrier(None)) as address,
        a_client(address) as client,
    ):
        yield client


@pytest.fixture
def carrier(session: ClientSession, client: httpx.AsyncClient) -> Carrier:
    return HttpCarrier(company(session, client))


@pytest.fixture
def hasty(session: ClientSession, client: httpx.AsyncClient) -> Carrier:
    return HttpCarrier(company(session, client, read_seconds=0.05))


async def ledger(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/ledger")).json()
    return found


async def states(client: httpx.AsyncClient) -> list[str]:
    return [one["state"] for one in (await ledger(client))["bookings"]]


async def book(carrier: Carrier, ship_to: str, key: str = DO, parcels: int = 2) -> Reply:
    return await carrier.book(
        key=key, order=ORDER, merchant="merchant-3", ship_to=ship_to, parcels=parcels
    )


async def test_the_same_key_at_the_same_time_books_once(
    carrier: Carrier, client: httpx.AsyncClient
) -> None:
    replies = await asyncio.gather(*(book(carrier, "addr_late_0.1") for _ in range(20)))
    (reply,) = set(replies)
    assert isinstance(reply, Accepted)
    assert await ledger(client) == {
        "bookings": [
            {
                "order": ORDER,
                "key": DO,
                "merchant": "merchant-3",
                "parcels": 2,
                "reference": reply.reference,
                "state": "booked",
            }
        ],
        "parcels": {"booked": 2, "cancelled": 0},
    }


async def test_the_same_key_with_other_parcels_can_never_be_served(carrier: Carrier) -> None:
    await book(carrier, "addr_ok")
    with pytest.raises(OutsideKeyReused):
        await book(carrier, "addr_ok", parcels=3)


@pytest.mark.parametrize(
    ("ship_to", "code"),
    [("addr_undeliverable", "undeliverable"), ("addr_typo", "unknown_address")],
)
async def test_an_address_that_cannot_be_reached_books_nothing(
    carrier: Carrier, client: httpx.AsyncClient, ship_to: str, code: str
) -> None:
    assert await book(carrier, ship_to) == Declined(code=code)
    assert await states(client) == []


async def test_a_cancellation_twice_changes_nothing_and_a_new_attempt_works(
    carrier: Carrier, client: httpx.AsyncClient
) -> None:
    await book(carrier, "addr_ok")
    cancelled = await carrier.cancel(key=UNDO, subject=ORDER, closes=DO)
    assert isinstance(cancelled, Accepted)
    assert await carrier.cancel(key=f"{UNDO}-again", subject=ORDER, closes=DO) == cancelled
    assert isinstance(await book(carrier, "addr_ok", DO_2), Accepted)
    assert await states(client) == ["cancelled", "booked"]


async def test_a_cancellation_shuts_the_door_on_a_booking_under_way(
    carrier: Carrier, hasty: Carrier, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable):
        await book(hasty, "addr_late_0.3")
    await carrier.cancel(key=UNDO, subject=ORDER, closes=DO)
    assert await book(carrier, "addr_late_0.3") == Declined(code="cancelled")
    assert await states(client) == []


async def test_a_cancellation_touches_no_other_order(
    carrier: Carrier, client: httpx.AsyncClient
) -> None:
    await book(carrier, "addr_ok")
    declined = await carrier.cancel(key=UNDO, subject="order-8", closes=DO)
    assert declined == Declined(code="other_order")
    assert await states(client) == ["booked"]


async def test_a_booking_whose_answer_was_lost_is_there_when_asked_again(
    carrier: Carrier, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable):
        await book(carrier, "addr_lost")
    assert isinstance(await book(carrier, "addr_lost"), Accepted)
    assert await states(client) == ["booked"]


async def test_an_address_fails_as_often_as_it_says_and_then_works(carrier: Carrier) -> None:
    for _ in range(2):
        with pytest.raises(OutsideUnavailable):
            await book(carrier, "addr_error_2")
    assert isinstance(await book(carrier, "addr_error_2"), Accepted)


async def test_a_cancellation_can_be_told_to_fail_as_well(carrier: Carrier) -> None:
    assert isinstance(await book(carrier, "addr_cancel_error"), Accepted)
    with pytest.raises(OutsideUnavailable):
        await carrier.cancel(key=UNDO, subject=ORDER, closes=DO)
    assert isinstance(await carrier.cancel(key=UNDO, subject=ORDER, closes=DO), Accepted)

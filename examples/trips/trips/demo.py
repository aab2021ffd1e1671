"""`handrail demo`: trips over HTTP, some of which go wrong; then the proof."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx

from handrail.cli.options import Json
from handrail.dev.demo import ending, run_demo
from handrail.dev.stack import Stack
from trips.app import TRIPS

WISHES = (
    ("seat_ok", "room_ok"),
    ("seat_declined", "room_ok"),
    ("seat_ok", "room_declined"),
    ("seat_lost", "room_error"),
    ("seat_error", "room_lost"),
)
YES = {"approved": True, "reason": "worth it"}


def demo(*, trips: int = 12, json: Json = False) -> int:
    """Start everything, book trips, prove the invariants, stop everything."""
    return run_demo(TRIPS, lambda stack, api: _drive(stack, api, trips), json=json)


async def _drive(stack: Stack, api: httpx.AsyncClient, trips: int) -> dict[str, Any]:
    money = {"amount": trips * 1_000_00, "currency": "EUR"}
    (await api.put("/teams/research/budget", json=money)).raise_for_status()
    sagas = [await _book(api, number) for number in range(trips)]
    ended = {saga: await ending(api, saga, YES) for saga in sagas}
    made = sorted(saga for saga, how in ended.items() if how == "completed")
    ledgers = [
        (await api.get(f"{stack.address_of(name)}/ledger")).json() for name in ("airline", "hotel")
    ]
    agree = all(sorted(ledger["held"]) == made for ledger in ledgers)
    return {"trips": trips, **Counter(ended.values()), "invariants": {"companies_agree": agree}}


async def _book(api: httpx.AsyncClient, number: int) -> str:
    """Every third is so dear that the travel manager decides."""
    flight, hotel = WISHES[number % len(WISHES)]
    price = {"amount": 1_600_00 if number % 3 == 0 else 200_00, "currency": "EUR"}
    asked = {"team": "research", "flight": flight, "hotel": hotel, "price": price}
    (await api.put(f"/trips/trip-{number}", json=asked)).raise_for_status()
    return f"trip-{number}"

"""`handrail demo`: trips over HTTP, some of which go wrong; then the proof."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import orjson

from handrail.cli.command_runner import run_job
from handrail.cli.options import Json
from handrail.dev.stack import Stack
from handrail.settings import Settings, load
from handrail.temporal.connection import connect
from handrail.verify.prove import OF_EVERY_APP, prove
from trips.app import TRIPS

WISHES = (
    ("seat_ok", "room_ok"),
    ("seat_declined", "room_ok"),
    ("seat_ok", "room_declined"),
    ("seat_lost", "room_error"),
    ("seat_error", "room_lost"),
)
ENDED = {"completed", "refused", "compensated"}


def demo(*, trips: int = 12, json: Json = False) -> int:
    """Start everything, book trips, prove the invariants, stop everything."""

    async def work(settings: Settings) -> int:
        with tempfile.TemporaryDirectory(prefix="trips-") as folder:
            quick = settings.model_copy(update={"api_port": 0})
            async with Stack(TRIPS, quick, data_dir=Path(folder)) as stack:
                figures = await _drive(stack, trips)
        print(orjson.dumps(figures).decode() if json else figures)
        return 0 if all(figures["invariants"].values()) else 1

    return run_job(load(TRIPS.settings_type), "demo", work)


async def _drive(stack: Stack, trips: int) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=30) as api:
        money = {"amount": trips * 1_000_00, "currency": "EUR"}
        (await api.put("/teams/research/budget", json=money)).raise_for_status()
        sagas = [await _book(api, number) for number in range(trips)]
        ended = [await _ends(api, saga) for saga in sagas]
        async with httpx.AsyncClient(timeout=30) as companies:
            books = [
                (await companies.get(f"{stack.address_of(name)}/ledger")).json()
                for name in ("airline", "hotel")
            ]
    temporal = await connect(stack.settings, TRIPS.codec)
    proof = await prove(stack.database_url, TRIPS, OF_EVERY_APP, temporal)
    made = sorted(saga for saga, ending in ended if ending == "completed")
    agree = {"companies_agree": all(sorted(book["held"]) == made for book in books)}
    return {"trips": trips, **Counter(e for _, e in ended), "invariants": proof.as_json() | agree}


async def _book(api: httpx.AsyncClient, number: int) -> str:
    """Every third is so dear that the travel manager decides."""
    flight, hotel = WISHES[number % len(WISHES)]
    price = {"amount": 1_600_00 if number % 3 == 0 else 200_00, "currency": "EUR"}
    asked = {"team": "research", "flight": flight, "hotel": hotel, "price": price}
    (await api.put(f"/trips/trip-{number}", json=asked)).raise_for_status()
    return f"trip-{number}"


async def _ends(api: httpx.AsyncClient, saga: str) -> tuple[str, str]:
    async with asyncio.timeout(120):
        while True:
            found = await api.get(f"/sagas/{saga}")
            status = found.json().get("status") if found.is_success else None
            if status in ENDED:
                return saga, str(status)
            if status == "awaiting":
                yes = {"approved": True, "reason": "worth it"}
                await api.post(
                    f"/sagas/{saga}/answers", json=yes, headers={"Idempotency-Key": saga}
                )
            await asyncio.sleep(0.2)

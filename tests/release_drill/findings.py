"""What two releases side by side left behind: read from the stores, not from the processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg

from handrail.dev.stack import Stack
from tests.release_drill.releases import Release

_SETTLED_WITHIN: Final = 240  # seconds

_ENDINGS: Final = """
SELECT substr(stream, 6) AS saga,
    max(data ->> 'ending') FILTER (WHERE type = 'SagaEnded') AS ending,
    count(*) FILTER (WHERE type = 'SagaParked') AS parked,
    count(*) FILTER (WHERE type = 'CompensationStarted') AS turned_back
FROM events WHERE stream = ANY (%s) GROUP BY stream
"""
_DELIVERED: Final = """
SELECT count(*) FROM events WHERE stream = ANY (%s) AND type = 'OrderCompleted'
"""
_PARKED: Final = """
SELECT 'projection ' || projection, cause FROM parked_events
UNION ALL SELECT 'message ' || consumer, cause FROM parked_messages
"""


@dataclass(frozen=True)
class Sagas:
    """Ids of those that did not end as every one of them would alone."""

    asked: int
    completed: int
    turned_back: Sequence[str]
    parked: Sequence[str]
    unended: Sequence[str]


async def sagas(url: str, orders: Sequence[str]) -> Sagas:
    """Waits, within reason, until all have ended."""
    streams = [f"saga-{one}" for one in orders]
    until = time.monotonic() + _SETTLED_WITHIN
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            cursor = await connection.execute(_ENDINGS, (streams,))
            found = {saga: rest for saga, *rest in await cursor.fetchall()}
            unended = [one for one in orders if not found.get(one, [None])[0]]
            if not unended or time.monotonic() > until:
                break
            await asyncio.sleep(1)
    return Sagas(
        asked=len(orders),
        completed=sum(ending == "completed" for ending, *_ in found.values()),
        turned_back=[saga for saga, (_, _, back) in found.items() if back],
        parked=[saga for saga, (_, parked, _) in found.items() if parked],
        unended=unended,
    )


async def delivered(url: str, orders: Sequence[str]) -> int:
    """How many arrived at their customers; waits, within reason, until all did."""
    streams = [f"order-{one}" for one in orders]
    until = time.monotonic() + _SETTLED_WITHIN
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            found = await (await connection.execute(_DELIVERED, (streams,))).fetchone()
            assert found is not None
            if found[0] >= len(orders) or time.monotonic() > until:
                return int(found[0])
            await asyncio.sleep(0.2)


async def parked(url: str) -> Sequence[str]:
    """Every event or message that waits for a person, with its cause."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(_PARKED)
        return [f"{where}: {cause}" for where, cause in await cursor.fetchall()]


async def written(url: str) -> dict[str, int]:
    """How many events of each form of FORMS the store has."""
    forms = {form for both in FORMS for form in both}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT type, schema, count(*) FROM events WHERE type = ANY (%s) GROUP BY 1, 2",
            ([name for name, _ in forms],),
        )
        found = {(name, version): count for name, version, count in await cursor.fetchall()}
    return {f"{name} v{version}": found.get((name, version), 0) for name, version in sorted(forms)}


FORMS: Final = (
    (("ShipmentBooked", 1), ("ShipmentBooked", 2)),
    (("PaymentAuthorised", 1), ("PaymentAuthorised", 2)),
    (("PaymentCaptured", 1), ("DownPaymentCaptured", 2)),
    (("OrderConfirmed", 1), ("OrderAccepted", 1)),
    (("CreditHeld", 1), ("CreditReserved", 1)),
)
"""The older and the newer form of each event that the next release changes."""


async def proof(servers: Stack, release: Release) -> dict[str, Any]:
    """What `handrail verify` of a release says: read models against their rebuild, and more."""
    settings = servers.settings.known_to("verify").environment()
    ended = await release.run(settings, "verify", "--json")
    said: dict[str, Any] = orjson.loads(ended.printed.splitlines()[-1])
    return said

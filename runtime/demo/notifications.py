"""Customers of the demo can be reached, and were told of everything once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg

_PATIENCE: Final = 60.0
_LOOK: Final = 0.2


def contact(customer: str, number: int) -> dict[str, Any]:
    """How the customer of this number is reached: not everybody likes everything."""
    return {
        "language": ("en", "de")[number % 2],
        "time_zone": ("Europe/Berlin", "America/New_York", "Asia/Tokyo")[number % 3],
        "quiet_hours": None,  # the demo may run at night
        "addresses": {
            "push": f"device-{customer}",
            "sms": f"+4915{number:09}" if number % 3 == 0 else None,
            "email": f"{customer}@example.org",
        },
        "choices": {"deliveries": {"email": True}} if number % 4 == 0 else {},
    }


@dataclass(frozen=True)
class Told:
    """`carried` is what the provider says it carried, `sent` what the queue says; `late` could have
    been sent and was not.
    """

    carried: int
    sent: int
    late: int
    same: bool
    """Whether both mean the same messages, and each of them once."""

    def __str__(self) -> str:
        if self.complete:
            return f"{self.carried} messages to customers, each carried once"
        return (
            f"[red]{self.sent} messages were sent, {self.carried} carried, {self.late} wait"
            f"{'' if self.same else ', and they are not the same'}[/red]"
        )

    @property
    def complete(self) -> bool:
        return self.same and self.late == 0


async def told(database_url: str, provider_url: str) -> Told:
    """Waits, within reason, until nothing that is due waits; reminders are for later."""
    deadline = time.monotonic() + _PATIENCE
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        while late := await _late(connection):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK)
        cursor = await connection.execute(
            "SELECT provider_id FROM notifications WHERE state = 'sent'"
        )
        sent = [provider_id for (provider_id,) in await cursor.fetchall()]
    async with httpx.AsyncClient(base_url=provider_url, timeout=30) as client:
        messages = (await client.get("/ledger")).json()["messages"]
    carried = [message["id"] for message in messages]
    same = sorted(sent) == sorted(carried) and len(set(carried)) == len(carried)
    return Told(len(carried), len(sent), late, same)


async def _late(connection: psycopg.AsyncConnection) -> int:
    cursor = await connection.execute(
        "SELECT count(*) FROM notifications WHERE state = 'waiting'"
        " AND due_at < clock_timestamp() + interval '10 minutes'"
    )
    [(late,)] = await cursor.fetchall()
    return int(late)

"""What other companies have in their books, page by page in the order of what it is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import httpx

STANDS: Final = frozenset({"authorised", "captured", "paid", "booked"})
"""The states of entries that have an effect, until they are taken back."""
_PAGE: Final = 500
_SECONDS: Final = 60.0

Entry = tuple[str, Mapping[str, Any]]
"""Its kind, such as `charges`, and what the company says of it."""


@dataclass(frozen=True)
class AskedBy:
    """The step that asked for an entry: all its keys are one family, whatever the attempt."""

    saga: str
    step: str


def step_of(entry: Mapping[str, Any]) -> AskedBy:
    """From a key such as `order-1/2/CapturePayment~2/do`, as it came over HTTP."""
    saga, _, rest = unquote(entry["key"]).partition("/")
    _, _, asked = rest.partition("/")
    return AskedBy(saga, asked.partition("/")[0].partition("~")[0])


async def entries(url: str) -> AsyncIterator[tuple[str, Entry]]:
    """Each entry with the id that it is about, such as an order's; ids ascend."""
    async with httpx.AsyncClient(base_url=url, timeout=_SECONDS) as client:
        after: str | None = ""
        while after is not None:
            answer = await client.get("/ledger/entries", params={"after": after, "limit": _PAGE})
            answer.raise_for_status()
            page = answer.json()
            for one in page["entries"]:
                yield one["about"], (one["kind"], one["entry"])
            after = page["next"]

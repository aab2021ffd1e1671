"""What other companies hold, as their own ledgers say."""

from __future__ import annotations

from typing import Any

import httpx


async def entries(company: httpx.AsyncClient, kind: str, about: str) -> list[dict[str, Any]]:
    """Those of a kind that name the order, payout or merchant."""
    found = (await company.get("/ledger")).json()[kind]
    return [one for one in found if about in map(str, one.values())]


async def states(company: httpx.AsyncClient, kind: str, about: str) -> list[str]:
    return sorted(one["state"] for one in await entries(company, kind, about))

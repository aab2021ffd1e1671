"""Asking the API as somebody does who does not give up: while it is away, and with the same key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

PATIENCE: Final = 600.0
"""Seconds in which the API has to answer something else than 503."""


async def post(
    client: httpx.AsyncClient,
    path: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Raises TimeoutError where it stays away, HTTPStatusError for what is wrong with the request;
    a conflict is an answer.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(path, json=body, headers=headers)
                if not _is_for_later(answer):
                    if answer.status_code != httpx.codes.CONFLICT:
                        answer.raise_for_status()
                    return answer
            await asyncio.sleep(0.5)


async def get(client: httpx.AsyncClient, path: str) -> Any:
    """None where there is no such thing yet."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get(path)
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                if not _is_for_later(answer):
                    answer.raise_for_status()
                    return answer.json()
            await asyncio.sleep(0.5)


async def sagas(client: httpx.AsyncClient, query: str = "") -> list[Mapping[str, Any]]:
    """All that the board has, page by page."""
    found: list[Mapping[str, Any]] = []
    path: str | None = f"/sagas?limit=200{query}"
    while path:
        page = await get(client, path)
        found += page["items"]
        path = page["next"]
    return found


def slug(answer: httpx.Response) -> str:
    """Which problem it is, or `taken`."""
    return str(answer.json()["type"]).rpartition("/")[2] if answer.is_error else "taken"


def _is_for_later(answer: httpx.Response) -> bool:
    if answer.status_code == httpx.codes.CONFLICT:
        return slug(answer) == "idempotency-in-flight"
    return answer.status_code in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}

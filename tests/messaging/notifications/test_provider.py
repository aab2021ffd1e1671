"""What the provider of messages answers, however it is worded."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from handrail.bounds import CUT, OUTSIDE, REPLACEMENT
from handrail.notifications.provider import (
    Answer,
    Declined,
    HttpProvider,
    Letter,
    Taken,
    Throttled,
    Unclear,
)

LETTER = Letter(key="k", channel="sms", to="+4915112345678", subject="", body="hello")


async def answered(status: int, body: Any, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(content), headers=headers)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
        return await HttpProvider(client).carry(LETTER)


async def test_a_clear_answer_is_kept_with_its_name_and_its_code() -> None:
    assert await answered(200, {"id": "m-1"}) == Taken("m-1")
    assert await answered(402, {"code": "unreachable"}) == Declined("unreachable")


async def test_a_clear_answer_that_cannot_be_stored_stays_one() -> None:
    assert await answered(402, {"code": "a\0b\ud83d"}) == Declined(f"a{REPLACEMENT}b{REPLACEMENT}")
    taken = await answered(202, {"id": "x" * 3_000_000})
    assert isinstance(taken, Taken)
    assert len(taken.id) == OUTSIDE.longest
    assert taken.id.endswith(CUT)


@pytest.mark.parametrize("body", [b"x" * 3_000_000, b"[" * 3_000_000, {"name": "m-1"}, []])
async def test_what_is_not_clear_is_not_guessed(body: Any) -> None:
    assert isinstance(await answered(200, body), Unclear)


@pytest.mark.parametrize(
    ("said", "seconds"), [("3", 3), ("nan", 1), ("inf", 300), ("-5", 0), ("1e400", 300), ("x", 1)]
)
async def test_the_wait_that_it_asks_for_is_bounded(said: str, seconds: float) -> None:
    assert await answered(429, {}, **{"Retry-After": said}) == Throttled(seconds)

"""Answers that are clear, and worded as nobody agreed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from aiohttp import ClientSession
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from activities.payments.activities import activities
from activities.payments.gateway import HttpBank
from domain.payments.commands import AuthoriseDownPayment
from handrail.activities.http_gateway import (
    HttpGateway,
    OutsideAnswerUnreadable,
    OutsideUnavailable,
)
from handrail.bounds import ANSWER_BYTES, CUT, OUTSIDE, is_storable
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.replies import Accepted, Declined
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from tests.activities.served_commands import runner_of
from tests.controls import an_order_id, eur

PRICE = eur(25_00)
ODD = {
    "a NUL": "no\0funds",
    "half a character": "no \ud83d funds",
    "3 MB": "x" * 3_000_000,
    "3 MB of NULs": "\0" * 3_000_000,
    "3 MB of halves": "\ud83d" * 3_000_000,
}


@asynccontextmanager
async def a_bank(
    session: ClientSession, status: int, body: Any, *, without_end: bool = False
) -> AsyncIterator[HttpBank]:
    app = FastAPI()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield content
        while without_end:
            yield b"x" * 16 * 1024
            await asyncio.sleep(0)

    @app.post("/captures")
    @app.post("/authorisations")
    async def answer() -> StreamingResponse:
        return StreamingResponse(pieces(), status)

    async with served(app) as address:
        yield HttpBank(HttpGateway(session, address))


@pytest.mark.parametrize("code", ODD.values(), ids=ODD)
async def test_a_clear_no_stays_one_and_is_stored(
    session: ClientSession, database: str, code: str
) -> None:
    order = an_order_id()
    key = StepKey(saga=order, attempt=1, step="Authorise", opened_on=date(2026, 3, 2))
    asked = AuthoriseDownPayment(order=order, amount=PRICE, card="card_ok")
    async with (
        a_bank(session, 402, {"status": "declined", "code": code}) as bank,
        open_pool(database, role="handrail_app") as pool,
    ):
        payments = runner_of(activities(EventStore(pool, HANDRAIL.codec), bank))
        answer = await payments(asked, StepContext(key=key, actor="a test"))
        async with pool.connection() as connection:
            rows = await connection.execute(
                "SELECT data ->> 'code' FROM events WHERE stream = %s", (f"payment-{order}",)
            )
            [(stored,)] = await rows.fetchall()
    assert answer.status == "refused"
    assert 0 < len(stored) <= OUTSIDE.longest
    assert stored != code


@pytest.mark.parametrize("reference", ODD.values(), ids=ODD)
async def test_a_clear_yes_stays_one(session: ClientSession, reference: str) -> None:
    async with a_bank(session, 200, {"status": "approved", "reference": reference}) as bank:
        reply = await bank.capture(key="k", order="o", amount=PRICE)
    assert isinstance(reply, Accepted)
    assert is_storable(reply.reference)
    assert len(reply.reference) <= OUTSIDE.longest
    assert len(reference) <= OUTSIDE.longest or reply.reference.endswith(CUT)


async def test_an_answer_that_drips_is_none(session: ClientSession) -> None:
    dripping = FastAPI()

    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    @dripping.post("/captures")
    async def answer() -> StreamingResponse:
        return StreamingResponse(drops(), 200)

    async with served(dripping) as address, asyncio.timeout(20):
        bank = HttpBank(HttpGateway(session, address, connect_seconds=0.2, read_seconds=0.2))
        with pytest.raises(OutsideUnavailable):
            await bank.capture(key="k", order="o", amount=PRICE)


async def test_an_answer_without_an_end_is_read_to_its_bound(session: ClientSession) -> None:
    begins = b'{"status": "declined", "code": "no_funds", "more": "'
    async with a_bank(session, 402, begins, without_end=True) as bank, asyncio.timeout(10):
        reply = await bank.capture(key="k", order="o", amount=PRICE)
    assert reply == Declined(code="no_funds")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"x" * 3_000_000),
        (402, b"[" * 3_000_000),
        (402, {"more": "x" * ANSWER_BYTES, "status": "declined", "code": "no_funds"}),
    ],
    ids=["no JSON", "levels", "too late"],
)
async def test_what_is_not_clear_in_its_beginning_is_not_guessed(
    session: ClientSession, status: int, answer: Any
) -> None:
    async with a_bank(session, status, answer) as bank:
        with pytest.raises(OutsideAnswerUnreadable):
            await bank.capture(key="k", order="o", amount=PRICE)


async def test_a_large_page_of_a_broken_proxy_says_that_nobody_answered(
    session: ClientSession,
) -> None:
    async with a_bank(session, 502, b"<html>" * 1_000_000) as bank:
        with pytest.raises(OutsideUnavailable, match="HTTP 502"):
            await bank.capture(key="k", order="o", amount=PRICE)

"""What another company may do to us with an answer: each gateway, asked for one thing."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import inspect
import json
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
from aiohttp import ClientSession
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

import activities
from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from handrail.access.issuer import IssuerAddress
from handrail.activities.http_gateway import HttpGateway, OutsideError
from handrail.notifications.provider import HttpProvider, Letter, Unclear
from handrail.simulators.in_process import served
from tests.controls import eur

SOON: Final = 0.3  # seconds
LETTER: Final = Letter(key="k", channel="sms", to="+4915112345678", subject="", body="hello")
Ask = Callable[[ClientSession, str], Awaitable[Any]]


class NoAnswer(Exception):
    """Nothing definite came."""


def _gateway(session: ClientSession, address: str) -> HttpGateway:
    return HttpGateway(session, address, connect_seconds=2, read_seconds=SOON)


async def _bank(session: ClientSession, address: str) -> Any:
    bank = HttpBank(_gateway(session, address))
    return await bank.capture(key="k", order="o", amount=eur(1_00))


async def _carrier(session: ClientSession, address: str) -> Any:
    carrier = HttpCarrier(_gateway(session, address))
    return await carrier.book(key="k", order="o", merchant="m", ship_to="a", parcels=1)


async def _registry(session: ClientSession, address: str) -> Any:
    registry = HttpRegistry(_gateway(session, address))
    return await registry.check(key="k", merchant="m", registration="r")


async def _provider(_session: ClientSession, address: str) -> Any:
    # A client of the notifier, but that it would follow where the provider did not say no.
    async with httpx.AsyncClient(base_url=address, follow_redirects=True) as client:
        answer = await HttpProvider(client, seconds=SOON).carry(LETTER)
    if isinstance(answer, Unclear):
        raise NoAnswer(answer.cause)
    return answer


async def _issuer(_session: ClientSession, address: str) -> Any:
    async with asyncio.timeout(10):
        return await IssuerAddress(address, f"{address}/keys", None).load()


GATEWAYS: Final[Mapping[str, Ask]] = {
    "HttpBank": _bank,
    "HttpCarrier": _carrier,
    "HttpRegistry": _registry,
    "HttpProvider": _provider,
    "IssuerAddress": _issuer,
}
NOTHING: Final = (OutsideError, NoAnswer, ValueError, TimeoutError, httpx.HTTPError)
every_gateway = pytest.mark.parametrize("ask", GATEWAYS.values(), ids=GATEWAYS)
CLEAR: Final = {"status": "approved", "reference": "r", "id": "m-1", "keys": []}


def test_every_gateway_of_the_shop_is_asked_here() -> None:
    modules = [
        importlib.import_module(one.name)
        for one in pkgutil.walk_packages(activities.__path__, "activities.")
        if one.name.endswith(".gateway")
    ]
    found = {
        name
        for module in modules
        for name, one in vars(module).items()
        if inspect.isclass(one) and one.__module__ == module.__name__ and name.startswith("Http")
    }
    assert found
    assert found <= GATEWAYS.keys()


@dataclass
class Company:
    """Answers whatever it is asked with what it is made with."""

    answer: Callable[[], Response]
    asked: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def any_path(path: str, _request: Request) -> Response:
            self.asked.append(path)
            return self.answer()

        return app

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        async with served(self.app()) as address:
            yield address


def clear() -> Response:
    return Response(json.dumps(CLEAR), media_type="application/json")


@every_gateway
async def test_a_clear_answer_is_taken(session: ClientSession, ask: Ask) -> None:
    async with Company(clear).open() as address:
        assert await ask(session, address)


@pytest.mark.quick(5)
@every_gateway
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_is_no_answer(
    session: ClientSession, ask: Ask, status: int
) -> None:
    """It could lead to an address inside, with the token of the company it came from."""
    inside = Company(clear)
    async with inside.open() as within:

        def away() -> Response:
            return Response(status_code=status, headers={"Location": f"{within}/inside"})

        company = Company(away)
        async with company.open() as address:
            with pytest.raises(NOTHING):
                await ask(session, address)
    assert len(company.asked) == 1
    assert inside.asked == []


@pytest.mark.quick(2)
@every_gateway
async def test_an_answer_that_drips_ends_in_time(session: ClientSession, ask: Ask) -> None:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async with (
        Company(lambda: StreamingResponse(drops(), 200)).open() as address,
        asyncio.timeout(20),
    ):
        with pytest.raises(NOTHING):
            await ask(session, address)


@every_gateway
async def test_an_answer_without_an_end_is_read_to_its_bound(
    session: ClientSession, ask: Ask
) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 16 * 1024
            yield b"x" * 16 * 1024
            await asyncio.sleep(0)

    async with (
        Company(lambda: StreamingResponse(pieces(), 200)).open() as address,
        asyncio.timeout(20),
    ):
        with pytest.raises(NOTHING):
            await ask(session, address)
    assert sent < 32 * 1024 * 1024  # what the sockets between the two hold is sent, too


@every_gateway
async def test_an_answer_is_not_decompressed(session: ClientSession, ask: Ask) -> None:
    """Nothing compressed was asked for, and a few bytes of it may become gigabytes."""
    packed = gzip.compress(json.dumps(CLEAR).encode())

    def bomb() -> Response:
        return Response(packed, headers={"Content-Encoding": "gzip"}, media_type="application/json")

    async with Company(bomb).open() as address:
        try:
            answer = await ask(session, address)
        except NOTHING:
            return
        assert answer == packed  # the issuer's keys are read by what asked for them

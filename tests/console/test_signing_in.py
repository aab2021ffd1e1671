"""A browser signs in with the credentials of the API, which stay in a cookie that tells nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from handrail.console.session import COOKIE, ConsoleSessions
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.console.parked import text_of

CALLERS = Callers({"a-word": caller("rita", "reader")})


@pytest.fixture(scope="module")
async def strict(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(authentication=CALLERS) as client:
        yield client


async def signing_in(strict: httpx.AsyncClient, word: str, **more: str) -> httpx.Response:
    strict.cookies.clear()
    return await strict.post("/console/sign-in", data={"credentials": word, **more})


async def test_what_signs_in_at_the_api_signs_in_at_the_console(strict: httpx.AsyncClient) -> None:
    asked = await strict.get("/console/sagas?status=parked")
    assert asked.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fsagas%3Fstatus%3Dparked"
    answer = await signing_in(strict, "a-word", next="/console/sagas?status=parked")
    assert answer.headers["location"] == "/console/sagas?status=parked"
    cookie = answer.headers["set-cookie"]
    assert "a-word" not in cookie
    for said in ("HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=28800"):
        assert said in cookie
    page = await strict.get("/console/sagas")
    assert "person:rita" in text_of(page.text)


async def test_signing_out_ends_the_session(strict: httpx.AsyncClient) -> None:
    await signing_in(strict, "a-word")
    await strict.post("/console/sign-out")
    assert (await strict.get("/console")).status_code == 303


async def test_the_cookie_counts_for_nothing_at_the_api(strict: httpx.AsyncClient) -> None:
    await signing_in(strict, "a-word")
    assert (await strict.get("/sagas")).status_code == 401
    assert (await strict.get("/sagas", headers=signed_in("a-word"))).status_code == 200


@pytest.mark.parametrize("word", ["another", "two words", "x" * 2_801, "ä"])
async def test_what_proves_nothing_is_refused_and_not_repeated(
    strict: httpx.AsyncClient, word: str
) -> None:
    answer = await signing_in(strict, word)
    assert answer.status_code == 401
    assert "That does not sign you in" in text_of(answer.text)
    assert "set-cookie" not in answer.headers
    assert f'value="{word}' not in answer.text


@pytest.mark.parametrize(
    "next_", ["https://evil.example", "//evil.example", "/console//evil.example", "/docs"]
)
async def test_nobody_is_led_away_from_the_console(strict: httpx.AsyncClient, next_: str) -> None:
    answer = await signing_in(strict, "a-word", next=next_)
    assert answer.headers["location"] == "/console"


async def test_in_development_nobody_signs_in(api: httpx.AsyncClient) -> None:
    answer = await api.get("/console/sign-in")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


def scope(cookie: str = "", host: str = "127.0.0.1:8080", scheme: str = "http") -> dict[str, Any]:
    headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
    return {"type": "http", "headers": headers, "scheme": scheme}


def value(header: str) -> str:
    return header.partition(";")[0]


def test_a_session_of_the_same_secret_is_valid_in_every_process() -> None:
    one, other = (ConsoleSessions("s" * 32) for _ in range(2))
    cookie = value(one.cookie("hr_key", scope()))
    assert other.credentials(scope(cookie)) == "hr_key"
    assert ConsoleSessions("t" * 32).credentials(scope(cookie)) is None
    assert ConsoleSessions().credentials(scope(cookie)) is None


def test_a_session_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, encrypt = ConsoleSessions("s" * 32, 60), Fernet.encrypt_at_time
    before = int(time.time()) - 61
    monkeypatch.setattr(Fernet, "encrypt", lambda fernet, data: encrypt(fernet, data, before))
    assert sessions.credentials(scope(value(sessions.cookie("hr_key", scope())))) is None


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=gAAAA", "a=b; c", f"{COOKIE}=ä"])
def test_a_cookie_of_another_form_is_no_session(cookie: str) -> None:
    assert ConsoleSessions("s" * 32).credentials(scope(cookie)) is None


@pytest.mark.parametrize(
    ("host", "scheme", "secure"),
    [
        ("127.0.0.1:8080", "http", False),
        ("localhost", "http", False),
        ("[::1]:8080", "http", False),
        ("shop.example", "https", True),
        ("shop.example", "http", True),
        ("127.0.0.1:8080", "https", True),
        ("[oops", "http", True),
    ],
)
def test_only_plain_http_on_this_machine_has_a_cookie_that_is_not_secure(
    host: str, scheme: str, *, secure: bool
) -> None:
    cookie = ConsoleSessions("s" * 32).cookie("hr_key", scope(host=host, scheme=scheme))
    assert ("; Secure" in cookie) == secure

"""The registry's port over real HTTP: what it finds, and what it tells when nothing is certain."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import ClientSession

from activities.settlement.gateway import HttpRegistry, Registry
from domain.settlement.commands import NotRegistered, Registered, RegistryReply
from handrail.activities.http_gateway import OutsideKeyReused, OutsideUnavailable
from handrail.simulators.in_process import served
from runtime.simulators.registry import create_registry
from tests.unencrypted import a_client, company

MERCHANT = "merchant-3"
DO, AGAIN = f"onboard-{MERCHANT}/1/check/do", f"onboard-{MERCHANT}/2/check/do"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(create_registry(None)) as address,
        a_client(address) as client,
    ):
        yield client


@pytest.fixture
def registry(session: ClientSession, client: httpx.AsyncClient) -> Registry:
    return HttpRegistry(company(session, client))


async def check(registry: Registry, registration: str, key: str = DO) -> RegistryReply:
    return await registry.check(key=key, merchant=MERCHANT, registration=registration)


async def test_a_business_is_found_under_the_same_entry_whatever_the_key(
    registry: Registry,
) -> None:
    found = await check(registry, "reg_ok")
    assert isinstance(found, Registered)
    assert await check(registry, "reg_ok") == found
    assert await check(registry, "reg_ok", AGAIN) == found


@pytest.mark.parametrize(
    ("registration", "code"),
    [("reg_declined", "struck_off"), ("HRB 4711", "unknown_registration")],
)
async def test_a_business_that_is_not_in_good_standing_is_declined(
    registry: Registry, registration: str, code: str
) -> None:
    assert await check(registry, registration) == NotRegistered(code=code)


async def test_the_same_key_for_another_business_can_never_be_served(registry: Registry) -> None:
    await check(registry, "reg_ok")
    with pytest.raises(OutsideKeyReused):
        await check(registry, "reg_declined")


async def test_a_lost_answer_is_there_when_asked_again(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable, match="504"):
        await check(registry, "reg_lost")
    assert isinstance(await check(registry, "reg_lost"), Registered)
    assert len((await client.get("/ledger")).json()["checks"]) == 1


async def test_a_registry_that_is_too_slow_is_unavailable(
    session: ClientSession, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable, match="SocketTimeoutError"):
        await check(HttpRegistry(company(session, client, read_seconds=0.05)), "reg_late_0.3")


async def test_a_registration_fails_as_often_as_it_says_and_then_works(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(OutsideUnavailable, match="500"):
            await check(registry, "reg_error_2")
    assert isinstance(await check(registry, "reg_error_2"), Registered)

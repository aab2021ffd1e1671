"""A foreign page changes nothing, and the API answers to no name but its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError

from handrail.access.authentication import Development
from handrail.http.problems import Problem
from handrail.http.request_origin import LOOPBACK, RequestOrigin
from handrail.processes.api import origin_of
from handrail.processes.http_application import create_app
from handrail.settings import Settings
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import problem
from tests.unencrypted import a_client
from workflows.options import ShopOptions

RETRY = "/webhooks/bank/msg-1/retry"


@pytest.fixture(scope="module")
async def guarded(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An API that answers on the loopback only, and takes changes from one page."""
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        ShopOptions(queue_prefix=house.queue_prefix),
        authentication=Development(HANDRAIL.access),
        origin=RequestOrigin(frozenset(LOOPBACK), frozenset({"https://desk.example"})),
    )
    async with served(app) as address, a_client(address, timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "[", "127.0.0.1.evil.example"]
)
async def test_another_name_is_refused(guarded: httpx.AsyncClient, host: str) -> None:
    found = problem(await guarded.get("/healthz", headers={"Host": host}), 421, "unknown-host")
    assert found["errors"] == [{"header": "Host", "detail": "not a name of this API"}]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8080", "[::1]:8080"])
async def test_a_name_of_the_api_is_answered(guarded: httpx.AsyncClient, host: str) -> None:
    assert (await guarded.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://desk.example.evil.example"},
    ],
)
async def test_a_foreign_page_changes_nothing(
    guarded: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await guarded.post(RETRY, headers=headers)
    problem(answer, 403, "cross-site-request")


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://desk.example"}]
)
async def test_a_server_and_a_known_page_reach_the_route(
    guarded: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    problem(await guarded.post(RETRY, headers=headers), 404, "not-found")


async def test_a_page_of_the_api_itself_reaches_the_route(guarded: httpx.AsyncClient) -> None:
    own = str(guarded.base_url).rstrip("/")
    problem(await guarded.post(RETRY, headers={"Origin": own}), 404, "not-found")


async def test_a_foreign_page_may_ask(guarded: httpx.AsyncClient) -> None:
    """It cannot read the answer: no CORS header lets it."""
    answer = await guarded.get("/healthz", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_without_names_any_is_answered() -> None:
    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"any.example")]}
    RequestOrigin().check(scope)
    with pytest.raises(Problem, match="not a name"):
        RequestOrigin({"api.example"}).check(scope)


def test_an_api_on_the_loopback_answers_to_its_names_alone() -> None:
    assert origin_of(Settings(api_host="127.0.0.1")).hosts == set(LOOPBACK)
    assert origin_of(Settings(api_host="0.0.0.0")).hosts == set()
    named = Settings(api_host="0.0.0.0", api_hosts=("Shop.example",))
    assert origin_of(named).hosts == {"shop.example"}


@pytest.mark.parametrize("hosts", ["https://shop.example", "shop.example:8080", "shop.example/x"])
def test_a_setting_that_is_no_host_is_refused(hosts: str) -> None:
    with pytest.raises(ValidationError, match="without scheme and port"):
        Settings(api_hosts=(hosts,))


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "ftp://shop.example"])
def test_a_setting_that_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="without a path"):
        Settings(api_origins=(origin,))

"""Three staged incidents, put right in a real browser by what is on the pages alone: each by at
most six clicks and in two minutes, which are printed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import pytest
from playwright.async_api import Browser, Locator
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import EmbeddedTemporal
from runtime.app import HANDRAIL
from tests.api.conftest import House, open_house
from tests.api.poison import heal, mend, poison
from tests.api.shop import Shop, eventually, open_shop, place, settled
from tests.console.browser import Seen, a_browser, a_page
from tests.console.conftest import CONSOLE_PATIENCE
from tests.console.test_in_browser import REASON, base, sign_in
from tests.console.test_rights import CALLERS

pytestmark = pytest.mark.browser

CLICKS: Final = 6
STEP: Final = "CapturePayment"
SECONDS: Final = 120.0
STAGING: Final = 300.0
"""Seconds in which all that an incident is staged with has to be there."""
AT_ONCE: Final = 40
"""Sagas under way at the same time: with more a busy machine is late at other steps, too."""


@dataclass
class Operator:
    """Clicks on what is on the page, and counts that."""

    seen: Seen
    clicks: int = 0

    async def clicks_on(self, what: Locator) -> None:
        await what.click()
        self.clicks += 1

    async def link(self, name: str) -> None:
        await self.clicks_on(self.seen.page.get_by_role("link", name=name, exact=True).first)

    async def presses(self, offer: Locator, button: str, reason: str) -> None:
        await offer.get_by_label(REASON).fill(reason)
        await self.clicks_on(offer.get_by_role("button", name=button))


@contextmanager
def put_right(incident: str, operator: Operator) -> Iterator[None]:
    """Within the clicks and the time there are, and the browser complains about nothing."""
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    print(f"{incident}: {operator.clicks} clicks, {seconds:.0f} s")  # noqa: T201  # for `pytest -s`
    assert operator.clicks <= CLICKS
    assert seconds <= SECONDS
    assert operator.seen.complaints == []


@pytest.fixture(scope="module")
async def house(
    postgres: EmbeddedPostgres,
    template_with_read_models: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """On a Temporal that skips no time: a step that waits for its turn would be late at once."""
    folder = tmp_path_factory.mktemp("temporal")
    async with EmbeddedTemporal(folder, ui=False, tenant=HANDRAIL.tenant) as server:
        client = await Client.connect(server.address)
        environment = WorkflowEnvironment.from_client(client)
        async with open_house(postgres, template_with_read_models, environment) as house:
            yield house


@pytest.fixture(scope="module")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(**CONSOLE_PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
async def signed(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(authentication=CALLERS, **CONSOLE_PATIENCE) as client:
        yield client


async def stand(house: House, shop: Shop) -> Mapping[tuple[str, str], int]:
    """How many checkouts of the shop have which status, at which step."""
    found = await house.sql(
        "SELECT status, step, count(*) FROM saga_board WHERE merchant = %s GROUP BY 1, 2",
        shop.merchant,
    )
    return {(status, step): count for status, step, count in found}


async def comes(
    house: House, shop: Shop, is_so: Callable[[Mapping[tuple[str, str], int]], bool]
) -> None:
    """Until the board shows it; two hundred sagas take longer than one."""
    deadline = time.monotonic() + STAGING
    while not is_so(found := await stand(house, shop)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def parked_by_the_bank(house: House, api: httpx.AsyncClient, shop: Shop, many: int) -> None:
    """Checkouts that wait for a person, for the bank was away at their pivot; it is back then. What
    a busy machine brings to the pivot too late is replaced.
    """
    house.unanswered.add("/captures")
    placed = 0

    def are_still(found: Mapping[tuple[str, str], int]) -> bool:
        ended = ("parked", "compensated", "refused")
        return sum(count for (status, _), count in found.items() if status in ended) == placed

    try:
        while missing := many - (await stand(house, shop)).get(("parked", STEP), 0):
            wave = min(missing, AT_ONCE)
            answers = await asyncio.gather(*(place(api, shop, wait=None) for _ in range(wave)))
            assert {one.status_code for one in answers} == {202}
            placed += wave
            await comes(house, shop, are_still)
    finally:
        house.unanswered.clear()


@pytest.mark.parametrize(
    ("many", "patience"),
    [
        pytest.param(10, 15, id="10 sagas"),
        pytest.param(200, 15, marks=pytest.mark.thorough, id="200 sagas"),
    ],
)
async def test_the_bank_was_away_and_all_that_parked_go_on(
    browser: Browser,
    signed: httpx.AsyncClient,
    house: House,
    many: int,
    patience: float,
) -> None:
    """From the first page: all with the cause, retry all. For `patience` seconds a step is asked
    again: the more sagas go on at once, the longer each of their steps may wait for its turn.
    """
    async with house.api(deadline_seconds=patience, patience_seconds=patience) as impatient:
        shop = await open_shop(impatient, limit=2_000_00 * many, stock=20 * many)
        await parked_by_the_bank(house, impatient, shop, many)
    async with a_page(browser, base(signed)) as seen:
        page, operator = seen.page, Operator(seen)
        await sign_in(page, "operator")
        with put_right(f"the bank was away, {many} sagas are parked", operator):
            rows = page.locator("tr", has_text=STEP)
            await rows.first.wait_for()
            while await rows.count():  # of each cause: no answer, or none in time
                await operator.clicks_on(rows.first.get_by_role("link", name="all"))
                retry = page.locator(
                    "section", has=page.get_by_role("heading", name="Retry", exact=True)
                )
                await operator.presses(retry, "Tell them all", "the bank is back")
                await page.locator(".state-finished").wait_for(timeout=1_000 * SECONDS)
                await operator.link("Now")
                await page.wait_for_url("**/console")
            await comes(house, shop, lambda found: found.get(("completed", ""), 0) >= many)
        assert await seen.violations() == []


@pytest.fixture
async def poisoned(house: House, shop: Shop) -> AsyncIterator[str]:
    name = f"credit-{shop.customer}"
    await poison(house, name, "LimitAssigned", "customer_account")
    yield name
    await heal(house)


async def test_a_poison_event_in_a_projection_is_applied_once_code_can_take_it(
    browser: Browser, signed: httpx.AsyncClient, house: House, shop: Shop, poisoned: str
) -> None:
    await mend(house, poisoned)
    async with a_page(browser, base(signed)) as seen:
        page, operator = seen.page, Operator(seen)
        await sign_in(page, "operator")
        with put_right("a poison event in a projection", operator):
            await operator.link("Read models")
            await operator.link(shop.customer)
            row = page.locator('.offer[data-action="retry-row"]')
            await operator.presses(row, "Retry this row", "mended in 1.2.3")
            await page.get_by_text("Nothing waits: the row is up to date").wait_for()

    async def gone() -> bool:
        return not await house.sql("SELECT FROM parked_events WHERE stream = %s", poisoned)

    await eventually(gone, "the row is up to date")


async def test_a_wrong_address_is_corrected_and_the_order_goes_on(
    browser: Browser, signed: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """From the first page: each with the cause, the saga, its correction."""
    shop = await open_shop(api)
    saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, saga, "parked")
    async with a_page(browser, base(signed)) as seen:
        page, operator = seen.page, Operator(seen)
        await sign_in(page, "operator")
        with put_right("a wrong address", operator):
            row = page.locator("tr", has_text="ShipmentDeclined")
            await operator.clicks_on(row.get_by_role("link", name="each").first)
            await operator.link(saga)
            await operator.link("Correct and retry…")
            await page.get_by_label("ship_to").fill("addr_ok")
            await page.get_by_label(REASON).fill("the customer moved")
            await operator.clicks_on(page.get_by_role("button", name="Correct and retry"))
            await page.get_by_text("Accepted: correct.").wait_for()
    await settled(api, saga, "completed")

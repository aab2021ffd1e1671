"""A poison event in a projection is put right in a real browser, by what is on the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser

from tests.api.conftest import House
from tests.api.poison import heal, mend, poison
from tests.api.shop import Shop
from tests.console.browser import a_browser, a_page
from tests.console.test_in_browser import REASON, base, sign_in, signed

pytestmark = pytest.mark.browser
__all__ = ["signed"]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest.fixture
async def stream(house: House, shop: Shop) -> AsyncIterator[str]:
    name = f"credit-{shop.customer}"
    await poison(house, name, "LimitAssigned", "customer_account")
    yield name
    await heal(house)


async def test_a_poison_event_in_a_projection_is_put_right_by_three_clicks(
    browser: Browser, signed: httpx.AsyncClient, house: House, shop: Shop, stream: str
) -> None:
    """From the first page: the read models, the row, retry. Code that reads the event is there."""
    await mend(house, stream)
    async with a_page(browser, base(signed)) as seen:
        page, clicks = seen.page, 0
        await sign_in(page, "operator")
        await page.get_by_role("link", name="Read models", exact=True).click()
        clicks += 1
        await page.get_by_role("link", name=shop.customer, exact=True).click()
        clicks += 1
        await page.get_by_text("Release code that can take the event").wait_for()
        await page.get_by_label(REASON).fill("mended in 1.2.3")
        await page.get_by_role("button", name="Retry this row").click()
        clicks += 1
        await page.get_by_text("Nothing waits: the row is up to date").wait_for()
        await page.get_by_text("Events that went on: 1").wait_for()
        print(f"clicks: {clicks}")  # noqa: T201  # for `pytest -s`
        assert clicks <= 6
        assert await seen.violations() == []
        assert seen.complaints == []
    left = await house.sql("SELECT FROM parked_events WHERE stream = %s", stream)
    [(actor,)] = await house.sql("SELECT actor FROM retry_requests WHERE stream = %s", stream)
    assert (left, actor) == ([], "person:olaf")

"""The console in a real browser: light and dark, wide and narrow, and without scripts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page

from tests.api.conftest import House
from tests.api.shop import open_shop, place, settled
from tests.console.browser import a_browser, a_page
from tests.console.conftest import CONSOLE_PATIENCE
from tests.console.parked import Parked
from tests.console.test_pages import PAGES, address
from tests.console.test_rights import CALLERS

pytestmark = pytest.mark.browser

WAYS = {
    "light and wide": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark and wide": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "light and narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "dark and narrow": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}
ROOT: Final = Path(__file__).parents[2]
REASON = "Reason: stored with what it causes"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
async def signed(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An API at which callers sign in."""
    async with house.api(authentication=CALLERS, **CONSOLE_PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
async def resting(api: httpx.AsyncClient) -> Parked:
    """A saga that waits while its pages are looked at."""
    shop = await open_shop(api)
    saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, saga, "parked")
    return Parked(saga, shop)


def base(api: httpx.AsyncClient) -> str:
    return str(api.base_url).rstrip("/")


async def sign_in(page: Page, word: str) -> None:
    await page.goto("/console")
    await page.get_by_label("API key or token").fill(word)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/console")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", [*PAGES, "/console/find?id=nothing"])
async def test_a_page_is_right_for_everyone_and_loads_nothing_from_elsewhere(
    browser: Browser, api: httpx.AsyncClient, resting: Parked, path: str, way: str
) -> None:
    async with a_page(browser, base(api), **WAYS[way]) as seen:
        await seen.page.goto(address(path, resting))
        assert await seen.violations() == []
        assert not await seen.is_too_wide()
        assert seen.hosts == {urlsplit(base(api)).netloc}
        assert await seen.page.locator("script:not([src]), style, [style]").count() == 0
        refused = [one for one in seen.complaints if "404" not in one]
        assert refused == []


async def test_the_readme_shows_pages_that_are_there(
    browser: Browser, api: httpx.AsyncClient, resting: Parked
) -> None:
    """HANDRAIL_WRITE_PICTURES=1 takes them again."""
    for name, path in (("console-now", "/console"), ("console-saga", "/console/sagas/{saga}")):
        picture = ROOT / "docs" / "pictures" / f"{name}.png"
        async with a_page(browser, base(api), viewport={"width": 1100, "height": 900}) as seen:
            await seen.page.goto(address(path, resting))
            taken = await seen.page.screenshot()
        if os.environ.get("HANDRAIL_WRITE_PICTURES"):
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(taken)
        assert picture.name in (ROOT / "README.md").read_text()
        assert picture.read_bytes()[:8] == taken[:8]


@pytest.mark.parametrize("way", WAYS)
async def test_signing_in_is_right_for_everyone(
    browser: Browser, signed: httpx.AsyncClient, way: str
) -> None:
    async with a_page(browser, base(signed), **WAYS[way]) as seen:
        await seen.page.goto("/console/sign-in")
        assert await seen.violations() == []
        await sign_in(seen.page, "reader")
        await seen.page.get_by_text("person:rita").wait_for()
        assert seen.complaints == []


async def test_an_operator_retries_a_parked_saga_and_sees_what_became_of_it(
    browser: Browser, signed: httpx.AsyncClient, api: httpx.AsyncClient, parked: Parked
) -> None:
    """From the list: the saga, retry. The page goes on by itself; the address is as bad as ever."""
    async with a_page(browser, base(signed)) as seen:
        page, clicks = seen.page, 0
        await sign_in(page, "operator")
        await page.goto(f"/console/sagas?status=parked&merchant={parked.shop.merchant}")
        await page.get_by_role("link", name=parked.saga).click()
        clicks += 1
        offer = page.locator('[data-action="retry"]')
        await offer.get_by_label(REASON).fill("the carrier is back")
        await offer.get_by_role("button", name="Retry").click()
        clicks += 1
        await page.get_by_role("row", name="Saga resumed").wait_for()
        await page.get_by_role("row", name="Saga parked").nth(1).wait_for()
        print(f"clicks: {clicks}")  # noqa: T201  # for `pytest -s`
        assert clicks <= 3
        assert seen.complaints == []
    told = (await api.get(f"/sagas/{parked.saga}")).json()["timeline"]
    [resumed] = [one for one in told if one["what"] == "SagaResumed"]
    assert (resumed["actor"], resumed["reason"]) == ("person:olaf", "the carrier is back")


async def test_a_page_that_is_open_shows_what_happens_and_keeps_what_is_typed(
    browser: Browser, api: httpx.AsyncClient, parked: Parked
) -> None:
    async with a_page(browser, base(api)) as seen:
        page = seen.page
        await page.goto(f"/console/sagas/{parked.saga}")
        typed = page.locator('[data-action="retry"]').get_by_label(REASON)
        await typed.fill("not sent yet")
        wish = {"kind": "correct", "reason": "moved", "correction": {"ship_to": "addr_ok"}}
        path = f"/sagas/{parked.saga}/interventions"
        answer = await api.post(path, json={**wish, "id": "int-1"})
        assert answer.status_code == 202, answer.text
        await page.locator(".state-completed").first.wait_for()
        await page.get_by_text("show what can be done now").wait_for()
        assert await typed.input_value() == "not sent yet"
        assert seen.complaints == []


async def test_without_scripts_one_looks_and_acts_all_the_same(
    browser: Browser, api: httpx.AsyncClient, parked: Parked
) -> None:
    async with a_page(browser, base(api), java_script_enabled=False) as seen:
        page = seen.page
        await page.goto("/console")
        await page.get_by_role("link", name="each").first.click()
        await page.get_by_role("link", name=parked.saga).click()
        await page.get_by_role("link", name="Correct and retry…").click()
        await page.get_by_label("ship_to").fill("addr_ok")
        await page.get_by_label(REASON).fill("the customer moved")
        await page.get_by_role("button", name="Correct and retry").click()
        await page.get_by_text("Accepted: correct.").wait_for()
    await settled(api, parked.saga, "completed")


async def test_a_reader_can_press_nothing_and_send_nothing(
    browser: Browser, signed: httpx.AsyncClient, parked: Parked
) -> None:
    async with a_page(browser, base(signed)) as seen:
        page = seen.page
        await sign_in(page, "reader")
        await page.goto(f"/console/sagas/{parked.saga}")
        buttons = page.locator(".offer button")
        assert await buttons.count() == 7
        assert await page.locator(".offer button:enabled").count() == 0
        for number in range(await buttons.count()):
            named = await buttons.nth(number).get_attribute("aria-describedby") or ""
            why = await page.locator(f"#{named.split()[-1]}").inner_text()
            assert "you have not the scope sagas:intervene" in why
        for number in range(await page.locator(".offer form").count()):
            where = await page.locator(".offer form").nth(number).get_attribute("action") or ""
            answer = await page.request.post(where, form={"kind": "retry", "reason": "a trick"})
            assert answer.status == 403, where
        assert await seen.violations() == []


async def test_the_keyboard_reaches_the_content_first_and_finds_an_id(
    browser: Browser, api: httpx.AsyncClient, parked: Parked
) -> None:
    async with a_page(browser, base(api)) as seen:
        page = seen.page
        await page.goto("/console")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.get_by_label("Any id").focus()
        await page.keyboard.type(f"saga-{parked.saga}")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/console/sagas/{parked.saga}")


async def test_all_that_wait_for_one_cause_go_on_by_three_clicks(
    browser: Browser, signed: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """From the first page: all of them, tell them, and look. It is the last test of this file, for
    it lets everything go on that waits for this cause.
    """
    shop = await open_shop(api, stock=100)
    sagas = []
    for _ in range(5):
        answer = await place(api, shop, wait=None, ship_to="addr_undeliverable")
        sagas.append(answer.json()["saga"])
        await settled(api, sagas[-1], "parked")
    async with a_page(browser, base(signed)) as seen:
        page, clicks = seen.page, 0
        await sign_in(page, "operator")
        row = page.locator("tr", has_text="ShipmentDeclined")
        await row.get_by_role("link", name="all").click()
        clicks += 1
        skip = page.locator("section", has=page.get_by_role("heading", name="Skip", exact=True))
        await skip.get_by_label("Evidence").fill("ticket 12")
        await skip.get_by_label(REASON).fill("sent by hand")
        await skip.get_by_role("button", name="Tell them all").click()
        clicks += 1
        await page.locator(".state-finished").wait_for()
        for saga in sagas:
            line = page.locator("tr", has_text=saga)
            await line.get_by_text("accepted").wait_for()
            await line.get_by_text("completed").wait_for()
        print(f"clicks: {clicks}")  # noqa: T201  # for `pytest -s`
        assert clicks <= 6
        assert await seen.violations() == []
        assert seen.complaints == []

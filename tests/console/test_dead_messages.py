"""The Broker page and the API show what lies in `dead` and `unrouted`, and put it right."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.messaging.broker.operator_access import BrokerAccess
from handrail.messaging.broker.topology import OPERATOR
from handrail.settings import Settings
from tests.api.callers import signed_in
from tests.api.conftest import House
from tests.api.shop import problem
from tests.console.browser import a_browser, a_page
from tests.console.parked import form, forms_of, sent, shown, submit, text_of
from tests.console.test_in_browser import REASON, WAYS, base, sign_in
from tests.console.test_rights import CALLERS
from tests.messaging.broker.dead import (
    LEDGER,
    Dead,
    a_dead_letter_office,
    acts,
    management_url,
)
from tests.messaging.broker.house import House as BrokerHouse

DEAD = "/broker/finance/dead/messages"
PAGE = f"/console{DEAD}"
WHY = {"reason": "mended in 1.2.3"}


@pytest.fixture(scope="module")
def at_broker(built: BrokerHouse) -> BrokerHouse:
    return built


@pytest.fixture
async def dead(at_broker: BrokerHouse, house: House) -> AsyncIterator[Dead]:
    await at_broker.mend()
    async with a_dead_letter_office(at_broker, house.engine) as found:
        yield found


def access(at_broker: BrokerHouse) -> BrokerAccess:
    return BrokerAccess(
        url=lambda: at_broker.url_of(OPERATOR),
        management_url=lambda: management_url(at_broker),
        settings=Settings(broker_ui_url="http://rabbit.example"),
    )


@pytest.fixture(scope="module")
async def api(house: House, at_broker: BrokerHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(bounds={"broker": access(at_broker)}) as client:
        yield client


@pytest.fixture(scope="module")
async def signed(house: House, at_broker: BrokerHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(authentication=CALLERS, bounds={"broker": access(at_broker)}) as client:
        yield client


@pytest.fixture
def engine(house: House) -> AsyncEngine:
    return house.engine


async def listed(api: httpx.AsyncClient) -> list[dict[str, str]]:
    answer = await api.get(DEAD)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_the_broker_shows_its_queues_links_and_that_it_is_as_declared(
    api: httpx.AsyncClient, dead: Dead
) -> None:
    await dead.dies("one")
    found = (await api.get("/broker")).json()
    assert found["drift"] == {"missing": [], "different": {}, "unknown": []}
    assert {one["link"] for one in found["links"]} == {"running"}
    [finance] = [
        one for one in found["queues"] if (one["vhost"], one["queue"]) == ("finance", "dead")
    ]
    assert finance["links"] == {"messages": DEAD}
    said = text_of(await shown(api, "/console/broker"))
    assert "Exchanges, queues and bindings are as the App declares them." in said
    assert "RabbitMQ's own pages" in said
    assert "finance/ledger" in said


async def test_what_is_not_as_declared_is_drift(api: httpx.AsyncClient, dead: Dead) -> None:
    await dead.house.ask("DELETE", "queues/logistics/packing")
    await dead.house.ask("PUT", "exchanges/finance/more", {"type": "topic"})
    drift = (await api.get("/broker")).json()["drift"]
    assert "queue logistics/packing" in drift["missing"]
    assert drift["unknown"] == ["exchange finance/more"]
    said = text_of(await shown(api, "/console/broker"))
    assert "missing: queue logistics/packing" in said
    assert "unknown: exchange finance/more" in said


async def test_one_is_redriven_over_http_and_the_act_is_stored(
    api: httpx.AsyncClient, dead: Dead, house: House
) -> None:
    await dead.dies("one", "two")
    one, two = await listed(api)
    assert (one["message_id"], one["queue"], one["cause"]) == ("one", LEDGER, "rejected")
    path = "/broker/finance/dead/redrive"
    answer = await api.post(path, json={**WHY, "messages": [one["id"]], "actor": "ann"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["done"], answer.json()["remaining"]) == ([one["id"]], 1)
    await dead.holds(LEDGER, "one")
    before = (await api.get(DEAD)).json()["acts"][0]
    assert (before["act"], before["actor"], before["message_id"]) == ("redrive", "ann", "one")

    gone = await api.post(path, json={**WHY, "messages": [one["id"]]})
    problem(gone, 409, "not-redriven")
    for body in ({**WHY}, {**WHY, "all": True, "messages": [two["id"]]}):
        problem(await api.post(path, json=body), 422, "invalid-request")
    stored = await house.sql(
        "SELECT count(*) FROM events WHERE type = 'OperatorActRequested'"
        " AND data->>'act' = 'POST /broker/{vhost}/{queue}/redrive'"
    )
    assert stored[0][0] >= 1


async def test_an_edit_must_be_json_and_keeps_the_original(
    api: httpx.AsyncClient, dead: Dead, engine: AsyncEngine
) -> None:
    await dead.dies("one")
    [one] = await listed(api)
    path = f"{DEAD}/{one['id']}/edit"
    wrong = problem(await api.post(path, json={**WHY, "body": "not json"}), 422, "invalid-request")
    assert wrong["errors"][0]["pointer"] == "#/body"
    answer = await api.post(path, json={**WHY, "body": '{"fee": 3}'})
    assert answer.status_code == 200, answer.text
    await dead.holds(LEDGER, "one")
    assert await dead.bodies(LEDGER) == [b'{"fee": 3}']
    last = (await acts(engine))[-1]
    assert (last["body"], last["edited"]) == (b'{"fee": "wrong"}', b'{"fee": 3}')


async def test_without_a_login_at_the_broker_the_page_says_which_setting_gives_it(
    house: House,
) -> None:
    async with house.api() as without:
        missing = problem(await without.get("/broker"), 404, "not-found")
        assert "HANDRAIL_BROKER_OPERATOR_URL" in missing["detail"]
        assert "HANDRAIL_BROKER_OPERATOR_URL" in text_of(await shown(without, "/console/broker"))


async def test_forms_redrive_some_and_all_edit_and_discard(
    api: httpx.AsyncClient, dead: Dead
) -> None:
    await dead.dies(*"abcd")
    some = form(await shown(api, PAGE), "Redrive those that are ticked")
    ids = {one["message_id"]: one["id"] for one in await listed(api)}
    some.fields = {f"message.{ids['b']}": "on"}
    answer = await submit(api, some, reason="mended")
    assert answer.headers["location"].endswith("?done=1&left=0"), answer.text
    await dead.holds(LEDGER, "b")

    html = await shown(api, f"{PAGE}/{ids['a']}")
    discarded = await submit(api, form(html, "Discard it"), reason="booked by hand")
    assert discarded.status_code == 303, discarded.text
    html = await shown(api, f"{PAGE}/{ids['c']}")
    edited = form(html, "Redrive it with this body")
    answer = await sent(api, edited, {"reason": "ticket 7", "body": '{"fee": 3}'})
    assert answer.status_code == 303, answer.text
    await dead.holds(LEDGER, "b", "c")

    every = form(await shown(api, PAGE), "Redrive all")
    answer = await submit(api, every, reason="mended")
    said = text_of(await shown(api, answer.headers["location"]))
    assert "0 messages in finance/dead" in said
    assert "Messages that went: 1." in said
    await dead.holds(LEDGER, "b", "c", "d")


async def test_nothing_ticked_redrives_nothing(api: httpx.AsyncClient, dead: Dead) -> None:
    await dead.dies("one")
    some = form(await shown(api, PAGE), "Redrive those that are ticked")
    some.fields = {}
    assert (await submit(api, some, reason="mended")).status_code == 422
    await dead.holds("dead", "one")


async def test_a_reader_looks_and_the_page_says_why_no_more(
    signed: httpx.AsyncClient, dead: Dead
) -> None:
    await dead.dies("one")
    looked = await signed.get(PAGE, headers=signed_in("reader"))
    assert looked.status_code == 200
    assert [one.disabled for one in forms_of(looked.text) if "redrive" in one.action] == [True] * 2
    assert "you have not the scope consumers:operate" in text_of(looked.text)
    said = await signed.post(
        "/broker/finance/dead/redrive", json={**WHY, "all": True}, headers=signed_in("reader")
    )
    problem(said, 403, "scope-missing")
    await dead.holds("dead", "one")


@pytest.mark.browser
@pytest.mark.parametrize("way", WAYS)
async def test_the_pages_are_right_for_everyone(
    api: httpx.AsyncClient, dead: Dead, browser: Browser, way: str
) -> None:
    await dead.dies("one")
    [one] = await listed(api)
    async with a_page(browser, base(api), **WAYS[way]) as seen:
        for path in ("/console/broker", PAGE, f"{PAGE}/{one['id']}"):
            await seen.page.goto(path)
            assert await seen.violations() == [], path
            assert not await seen.is_too_wide(), path
            assert await seen.page.locator("script:not([src]), style, [style]").count() == 0
        assert len(seen.hosts) == 1
        assert seen.complaints == []


@pytest.mark.browser
async def test_dead_messages_are_redriven_by_three_clicks(
    signed: httpx.AsyncClient, dead: Dead, browser: Browser
) -> None:
    await dead.dies("one", "two")
    async with a_page(browser, base(signed)) as seen:
        page, clicks = seen.page, 0
        await sign_in(page, "operator")
        await page.get_by_role("link", name="Broker", exact=True).click()
        clicks += 1
        await page.get_by_role("link", name="finance/dead").click()
        clicks += 1
        offer = page.locator('.offer[data-action="redrive-all"]')
        await offer.get_by_label(REASON).fill("mended in 1.2.3")
        await offer.get_by_role("button", name="Redrive all").click()
        clicks += 1
        await page.get_by_text("Messages that went: 2.").wait_for()
        print(f"clicks: {clicks}")  # noqa: T201  # for `pytest -s`
        assert seen.complaints == []
    await dead.holds(LEDGER, "one", "two")


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as found:
        yield found


async def test_a_message_that_the_relay_did_not_publish_has_a_page_too(
    api: httpx.AsyncClient, dead: Dead
) -> None:
    await dead.unrouted("from-elsewhere", "nothing.reads.this")
    [found] = (await api.get("/broker/finance/unrouted/messages")).json()["items"]
    said = text_of(await shown(api, f"/console/broker/finance/unrouted/messages/{found['id']}"))
    assert "All in finance/unrouted" in said
    assert "the events of its stream" not in said

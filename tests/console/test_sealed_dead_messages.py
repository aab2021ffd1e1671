"""A dead message with personal texts is shown, edited and kept without them being opened."""

from __future__ import annotations

import httpx
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.personal import is_sealed
from tests.api.conftest import House
from tests.api.shop import problem
from tests.console.parked import form, sent, shown
from tests.console.test_dead_messages import (
    DEAD,
    PAGE,
    WHY,
    api,
    at_broker,
    dead,
    engine,
    listed,
)
from tests.messaging.broker.dead import LEDGER, Dead, acts

__all__ = ["api", "at_broker", "dead", "engine"]
CANARY = "canary-4111_ok"
REASON = "Ann Canary-Quill rang about it"


async def sealed_body(house: House) -> bytes:
    card = await house.personal.seal_text(CANARY, "card", "customer:c-1")
    assert is_sealed(card)
    return orjson.dumps({"fee": "wrong", "card": card})


async def test_an_edit_on_the_page_leaves_a_sealed_text_sealed(
    api: httpx.AsyncClient, dead: Dead, house: House, engine: AsyncEngine
) -> None:
    body = await sealed_body(house)
    await dead.dies("one", body=body)
    [one] = await listed(api)
    html = await shown(api, f"{PAGE}/{one['id']}")
    assert CANARY not in html
    edit = form(html, "Redrive it with this body")
    whole = (await api.get(f"{DEAD}/{one['id']}")).json()["body"]
    answer = await sent(api, edit, {"reason": REASON, "body": whole.replace('"wrong"', "3")})
    assert answer.status_code == 303, answer.text
    [went] = await dead.bodies(LEDGER)
    assert orjson.loads(went) == {**orjson.loads(body), "fee": 3}
    last = (await acts(engine))[-1]
    assert (last["body"], last["edited"]) == (body, went)
    assert is_sealed(last["reason"])
    assert (await api.get(DEAD)).json()["acts"][0]["reason"] == REASON


async def test_an_edit_that_puts_a_text_in_clear_in_the_place_of_a_sealed_one_is_refused(
    api: httpx.AsyncClient, dead: Dead, house: House, engine: AsyncEngine
) -> None:
    await dead.dies("one", body=await sealed_body(house))
    before = len(await acts(engine))
    [one] = await listed(api)
    body = orjson.dumps({"fee": 3, "card": CANARY}).decode()
    answer = await api.post(f"{DEAD}/{one['id']}/edit", json={**WHY, "body": body})
    said = problem(answer, 409, "not-redriven")
    assert said["detail"].startswith("card is personal: leave its sealed text as it is")
    await dead.holds("dead", "one")
    assert len(await acts(engine)) == before

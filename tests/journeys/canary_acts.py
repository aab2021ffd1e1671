"""What is done and said about one person in the canary's journey, beside a good order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import aio_pika
import httpx
import psycopg

from handrail.access import key_records
from handrail.access.key_records import KeyRights
from handrail.database_engine import open_engine
from handrail.dev.stack import Stack
from handrail.dev.supervisor import free_port
from handrail.personal import is_sealed
from runtime.app import HANDRAIL
from tests.api.shop import Shop, a_key, place
from tests.messaging.broker.dead import KEY

NAME: Final = "Ann Canary-Quill"
STREET: Final = "canary-street-7_ok"
MAIL: Final = "ann.canary@quill.example"
PHONE: Final = "+4915199887766"
CARD: Final = "canary-4111_ok"
CANARIES: Final = (NAME, STREET, MAIL, PHONE, CARD)
LONG: Final = 120.0  # seconds
REVIEWED: Final = 150_00
"""An order of more waits for a risk officer, before its pivot."""
DEAD: Final = "/broker/finance/dead/messages"


def why(said: str) -> dict[str, str]:
    return {"reason": f"{NAME} {said}", "actor": "ops"}


def once_only() -> dict[str, str]:
    return {"Idempotency-Key": a_key()}


async def once(api: httpx.AsyncClient, path: str, **wanted: Any) -> Any:
    """The body at this address, once it says what is waited for."""
    return await when(api, path, lambda body: all(body[one] == it for one, it in wanted.items()))


async def when(api: httpx.AsyncClient, path: str, which: Callable[[Any], Any]) -> Any:
    """The body at this address, once it is the one that is waited for."""
    async with asyncio.timeout(LONG):
        while True:
            found = await api.get(path)
            if found.status_code == 200 and which(found.json()):
                return found.json()
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class TwoPersons:
    """Clients of an API process at which a second person approves what moves money."""

    anna: httpx.AsyncClient
    bert: httpx.AsyncClient

    async def agree(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to what the one has proposed and the other approved."""
        proposed = await self.anna.post(path, json=body, headers=once_only())
        assert proposed.status_code == 202, proposed.text
        assert proposed.json()["status"] == "proposed"
        approves = {"Handrail-Approves": proposed.json()["proposal"]}
        answer = await self.bert.post(path, json=body, headers=once_only() | approves)
        assert answer.status_code == 202, answer.text
        return answer.json()


@asynccontextmanager
async def two_persons(stack: Stack) -> AsyncIterator[TwoPersons]:
    """Beside the stack's own API, which is in development."""
    before, port = stack.settings, free_port()
    stack.settings = before.model_copy(update={"auth": "keys", "four_eyes": "on", "api_port": port})
    strict = stack._service("api-of-two", "api")
    stack.settings = before
    every = KeyRights(name="anna", kind="person", scopes=tuple(HANDRAIL.access.all_scopes))
    approver = KeyRights(name="bert", kind="person", roles=("approver",))
    lasts = timedelta(days=1)
    async with open_engine(stack.database_url, size=1) as owner, owner.connect() as connection:
        words = [
            str(await key_records.create(connection, one, by="a test", lasts=lasts))
            for one in (every, approver)
        ]
    await strict.start()
    url = f"http://127.0.0.1:{port}"
    anna, bert = (
        httpx.AsyncClient(base_url=url, timeout=60, headers={"Authorization": f"Bearer {one}"})
        for one in words
    )
    try:
        async with anna, bert:
            yield TwoPersons(anna, bert)
    finally:
        await strict.stop()


async def cancels_before_the_pivot(api: httpx.AsyncClient, shop: Shop) -> str:
    """An order that waits for a risk officer is taken back."""
    lines = [shop.line(quantity=4)]
    order = str((await place(api, shop, wait=None, card=CARD, lines=lines)).json()["order"])
    await once(api, f"/sagas/{order}", status="awaiting")
    path = f"/orders/{order}/cancellation"
    answer = await api.post(path, json=why("wants it no longer"), headers=once_only())
    assert answer.status_code == 202, answer.text
    await once(api, f"/sagas/{order}", status="compensated")
    return order


async def parked(api: httpx.AsyncClient, shop: Shop) -> str:
    """An order whose carrier does not find the address."""
    asked = await place(api, shop, wait=None, card=CARD, ship_to="addr_undeliverable")
    order = str(asked.json()["order"])
    await once(api, f"/sagas/{order}", status="parked")
    return order


async def put_right_by_two(api: httpx.AsyncClient, two: TwoPersons, shop: Shop) -> list[str]:
    """One saga by an intervention of its own, and one by an intervention in many."""
    alone = await parked(api, shop)
    correct = {"kind": "correct", "correction": {"ship_to": STREET}}
    evidence = f"letter of {NAME}, {STREET}"
    await two.agree(
        f"/sagas/{alone}/interventions", {**why("has moved"), **correct, "evidence": evidence}
    )
    await once(api, f"/sagas/{alone}", status="completed")
    corrected = await parked(api, shop)
    many = {
        **why("has moved, and her neighbours"),
        **correct,
        "filter": {"merchant": shop.merchant, "step": "BookShipment"},
        "dry_run": False,
    }
    begun = await two.agree("/interventions", many)
    await once(api, f"/interventions/{begun['intervention']}", state="finished")
    await once(api, f"/sagas/{corrected}", status="completed")
    for order in (alone, corrected):
        await once(api, f"/orders/{order}", status="completed")
        await settles(api, order)
    return [alone, corrected, begun["intervention"]]


async def settles(api: httpx.AsyncClient, order: str) -> None:
    """What the person owes for an order is paid at once."""
    paid = await api.post(f"/orders/{order}/plan/settlement", json={"card": CARD})
    assert paid.status_code == 202, paid.text
    await once(api, f"/sagas/{paid.json()['saga']}", status="completed")


async def is_searched_for(two: TwoPersons) -> None:
    """By addresses with texts in them, in the console and the API."""
    for path, query in (
        ("/console/find", {"id": MAIL}),
        ("/console/audit", {"target": f"/customers/{MAIL}"}),
        ("/events", {"actor": MAIL}),
        (f"/customers/{MAIL}/contact", {}),
        (f"/customers/{NAME}/contact", {}),
    ):
        await two.anna.get(path, params=query)
    await two.anna.delete(f"/sagas/{MAIL}")


async def dies_at_the_broker(stack: Stack, two: TwoPersons, order: str) -> None:
    """A message with a sealed text that finance cannot take: edited, and discarded."""
    assert stack.rabbitmq is not None
    async with await psycopg.AsyncConnection.connect(stack.database_url) as owner:
        cursor = await owner.execute(
            "SELECT data::text, data ->> 'card' FROM events WHERE stream = %s"
            " AND type = 'PlanOpened'",
            (f"plan-{order}",),
        )
        [(body, card)] = await cursor.fetchall()
        assert is_sealed(card)
    async with await aio_pika.connect(f"{stack.rabbitmq.url}/finance") as connection:
        exchange = await (await connection.channel()).get_exchange("money", ensure=False)
        message = aio_pika.Message(body.encode(), message_id="dead", headers={"ce-id": "dead"})
        await exchange.publish(message, KEY)
    api = two.anna
    [one] = (await when(api, DEAD, lambda found: found["items"]))["items"]
    assert CARD not in one["body"]
    said = {**why("is not in finance"), "body": one["body"]}
    edited = await api.post(f"{DEAD}/{one['id']}/edit", json=said)
    assert edited.status_code == 200, edited.text
    [again] = (await when(api, DEAD, lambda found: found["items"]))["items"]
    gone = await api.post(f"{DEAD}/{again['id']}/discard", json=why("is not in finance"))
    assert gone.status_code == 200, gone.text


async def is_an_operators_matter(two: TwoPersons, merchant: str, receiver: str) -> str:
    """A read model is built anew, and an endpoint of the merchant's is enabled again."""
    api = two.anna
    asked = await api.post("/read-models/order_status/rebuild", json=why("is missing there"))
    assert asked.status_code == 202, asked.text
    found = (await api.get("/webhook-endpoints", params={"merchant": merchant})).json()["items"]
    [endpoint] = [one["endpoint"] for one in found if one["url"] == receiver]
    for act in ("disable", "enable"):
        done = await api.post(f"/webhook-endpoints/{endpoint}/{act}", json=why("rang"))
        assert done.status_code == 200, done.text
    return str(endpoint)


async def registered(api: httpx.AsyncClient, shop: Shop, receiver: str) -> None:
    """The merchant has everything sent there that may be sent."""
    offered = (await api.get("/webhook-events")).json()["events"]
    newest = {one.rpartition(".")[0]: one for one in offered}
    new = {"merchant": shop.merchant, "url": receiver, "events": list(newest.values())}
    made = await api.post("/webhook-endpoints", json=new)
    assert made.status_code == 201, made.text


async def exported(two: TwoPersons) -> Mapping[str, str]:
    """The audit as files, by their formats."""
    path = "/console/audit/export"
    texts = {}
    for one in ("csv", "jsonl"):
        answer = await two.anna.get(path, params={"format": one})
        assert answer.status_code == 200, answer.text
        texts[one] = answer.text
    return texts

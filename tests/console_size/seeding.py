"""A few real sagas, by a whole stack, that a large database is then copied from.

Ids of the shop have a mark in them, which the copies replace: `ENDED` those of orders that went on
to their end, `WAITING` those of orders that wait for a person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import aio_pika
import httpx
import psycopg

from handrail.access import key_records
from handrail.access.key_records import KeyRights
from handrail.database_engine import open_engine
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.dev.stack import Stack
from runtime.app import HANDRAIL

ENDED: Final = "zqxjvkwb"
WAITING: Final = "yqxjvkwb"
_PATIENCE: Final = 120.0  # seconds
_QUIET: Final = 3.0
"""Seconds without a new event after which nothing more is to come."""
_ORDERS: Final[tuple[Mapping[str, Any], ...]] = (
    *({"card": "card_ok"} for _ in range(9)),
    {"card": "card_declined"},
    {"card": "card_capture_declined"},
    {"instalments": 4},
)
_STUCK: Final = 4


@dataclass(frozen=True)
class Seeds:
    """`marked` is each id that the stack gave out, with its mark; `key` is an operator's. Workflows
    of the parked sagas `stuck` are there, as those of their copies are not.
    """

    key: str
    marked: Mapping[str, str]
    stuck: Sequence[str]


async def sow(stack: Stack, database: str) -> Seeds:
    """Orders that end, orders that are parked, and what operators did with these."""
    scopes = list(HANDRAIL.access.all_scopes)
    seeder = await _key(database, KeyRights(name="seeder", kind="person", scopes=scopes))
    operator = await _key(database, KeyRights(name="olaf", kind="person", roles=["operator"]))
    marked: dict[str, str] = {}
    async with httpx.AsyncClient(
        base_url=stack.api_url, timeout=60, headers={"Authorization": f"Bearer {seeder}"}
    ) as api:
        await _open(api, ENDED)
        await _open(api, WAITING)
        for number, changes in enumerate(_ORDERS):
            order = await _place(api, ENDED, number, changes)
            marked[order] = order[: -len(ENDED)] + ENDED
        stuck = []
        for number in range(_STUCK):
            order = await _place(api, WAITING, number, {"ship_to": "addr_undeliverable"})
            marked[order] = order[: -len(WAITING)] + WAITING
            stuck.append(order)
        await _stands_still(database)
        await _check(database)
        proposals = await _intervene(api, stuck)
        marked |= {one: one[: -len(WAITING)] + WAITING for one in proposals}
        await _stands_still(database)
        await _check(database)
    return Seeds(operator, marked, stuck)


async def _key(database: str, rights: KeyRights) -> str:
    async with open_engine(database, role="", size=1) as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            made = await key_records.create(
                connection, rights, by="console-size", lasts=timedelta(days=2)
            )
    return str(made)


async def _open(api: httpx.AsyncClient, mark: str) -> None:
    """A merchant with stock, and a customer with a limit."""
    terms = {"currency": "EUR", "fee_bps": 250}
    opened = await _asked(api, "PUT", f"/merchants/m{mark[0]}-{mark}", terms)
    stock = {"sku": f"lamp{mark[0]}-{mark}", "delivery": f"first{mark[0]}-{mark}", "quantity": 1000}
    token = {"Handrail-Token": opened.headers["Handrail-Token"]}
    await _asked(api, "POST", f"/merchants/m{mark[0]}-{mark}/stock", stock, token)
    limit = {"limit": {"amount": 9_000_00, "currency": "EUR"}}
    last = await _asked(api, "PUT", f"/customers/c{mark[0]}-{mark}/limit", limit)
    read = {"Handrail-Token": last.headers["Handrail-Token"], "Prefer": "wait=30"}
    await _asked(api, "GET", f"/customers/c{mark[0]}-{mark}", None, read)


async def _place(api: httpx.AsyncClient, mark: str, number: int, changes: Mapping[str, Any]) -> str:
    price = {"amount": 50_00, "currency": "EUR"}
    body = {
        "customer": f"c{mark[0]}-{mark}",
        "merchant": f"m{mark[0]}-{mark}",
        "lines": [{"sku": f"lamp{mark[0]}-{mark}", "quantity": 1, "unit_price": price}],
        "instalments": 3,
        "card": "card_ok",
        "ship_to": "addr_ok",
        **changes,
    }
    headers = {"Idempotency-Key": f"key{mark[0]}-{number}-{mark}"}
    return str((await _asked(api, "POST", "/orders", body, headers)).json()["saga"])


async def _intervene(api: httpx.AsyncClient, stuck: list[str]) -> list[str]:
    """In many, which park again; then proposals for each. Answers the ids of the proposals."""
    body = {
        "kind": "retry",
        "reason": "the carrier is back",
        "filter": {"merchant": f"m{WAITING[0]}-{WAITING}"},
        "dry_run": False,
    }
    many = {"Idempotency-Key": f"int-{WAITING}"}
    await _asked(api, "POST", "/interventions", body, many)
    await _until(lambda: _has_ended(api, f"int-{WAITING}"), "the intervention has ended")
    proposals = []
    for order in stuck:
        wish = {
            "kind": "skip",
            "step": "BookShipment",
            "reason": "sent by hand",
            "evidence": "ticket 12",
            "id": f"skip-{order}",
        }
        answer = await _asked(
            api, "POST", f"/sagas/{order}/interventions", wish, {"Idempotency-Key": f"skip-{order}"}
        )
        proposals.append(str(answer.json()["proposal"]))
    return proposals


async def _has_ended(api: httpx.AsyncClient, intervention: str) -> bool:
    found = await api.get(f"/interventions/{intervention}")
    return found.status_code == httpx.codes.OK and found.json()["state"] == "finished"


async def _asked(
    api: httpx.AsyncClient,
    method: str,
    path: str,
    body: Any,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    answer = await api.request(method, path, json=body, headers=dict(headers or {}))
    if answer.is_error:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer


async def _check(database: str) -> None:
    """Raises RuntimeError where a saga stands otherwise than it is to be copied."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        cursor = await owner.execute(
            "SELECT saga, status, step, cause FROM saga_board WHERE ended_at IS NULL"
            " AND NOT (status = 'parked' AND step = 'BookShipment' AND merchant = %s)",
            [f"m{WAITING[0]}-{WAITING}"],
        )
        if others := await cursor.fetchall():
            raise RuntimeError(f"a busy machine has parked other sagas, begin again: {others}")


async def _stands_still(database: str) -> None:
    """Until nothing was appended for a while, and every read model has seen all of it."""
    count = "SELECT count(*) FROM events"
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        last, since = -1, time.monotonic()

        async def is_quiet() -> bool:
            nonlocal last, since
            [found] = await (await owner.execute(count)).fetchone() or [0]
            if found != last:
                last, since = found, time.monotonic()
            return time.monotonic() - since > _QUIET

        await _until(is_quiet, "nothing more happens")


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never happened: {what}")
        await asyncio.sleep(0.2)


async def dies(rabbitmq: EmbeddedRabbitMQ, count: int) -> None:
    """Messages in the dead letter queue of finance."""
    async with await aio_pika.connect(f"{rabbitmq.url}/finance") as connection:
        channel = await connection.channel()
        for number in range(count):
            message = aio_pika.Message(
                b"{}",
                message_id=f"dead-{number}",
                headers={"ce-id": f"dead-{number}"},
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await channel.default_exchange.publish(message, "dead")

"""How many events a second one relay publishes, against a publisher that knows nothing of events.

Both send the same messages, persistent, mandatory and confirmed, to the same exchanges of the same
broker, in turns. What the relay does beyond that: read the feed, make CloudEvents, keep the order
of each stream, move its checkpoints.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aio_pika
import httpx
import psycopg
from aio_pika.abc import AbstractExchange
from rich.console import Console

from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from domain.credit.events import CreditConsumed, CreditHeld
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.events import StockReserved
from domain.ordering.events import OrderConfirmed, OrderPlaced
from domain.payments.events import PaymentAuthorised, PaymentCaptured
from domain.settlement.events import PayableAccrued
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, SHARDS, EventStore, Recorded
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.kernel import Event, Money
from handrail.messaging.cloud_events import message_of
from handrail.messaging.envelope import id_of
from handrail.messaging.relay.parked_messages import RELAY
from handrail.messaging.relay.publisher import Publisher
from handrail.messaging.relay.relay import Relay
from handrail.migrations import upgrade
from handrail.sagas.events import StepDone
from handrail.settings import Settings
from runtime.app import HANDRAIL

_ROUTING: Final = HANDRAIL.routing
HOME: Final = _ROUTING.broker.home
EXCHANGES: Final = _ROUTING.exchanges
ORDERS: Final = 600
"""In each round; an order is 13 events in 6 streams."""
ROUNDS: Final = 6
"""The first is not counted, and who publishes first changes from one to the next."""
CUSTOMERS: Final = 200
IN_FLIGHT: Final = 300
"""Messages the bare publisher has under way: with more or fewer it is not faster."""
_METADATA: Final = {
    "actor": "customer c1",
    "correlation": "checkout-o1",
    "causation": "checkout-o1/1/hold-credit/do",
    "attempt": 1,
    "step": "hold-credit",
    "direction": "do",
}


@dataclass(frozen=True)
class Round:
    events: int
    messages: int
    relay_seconds: float
    bare_seconds: float
    statements: int


Outgoing = tuple[AbstractExchange, aio_pika.Message, str]


async def run(settings: Settings, *, json: bool) -> int:
    """0 where the relay reaches the goal."""
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            EmbeddedRabbitMQ(folder / "rabbitmq") as broker,
        ):
            await _declare(broker.management_url)
            await asyncio.to_thread(upgrade, postgres.url)
            async with open_pool(postgres.url, role="handrail_app", size=10) as pool:
                rounds = await _rounds(pool, broker.url, console)
    return report(_result(rounds[1:]), settings.data_dir, console, json=json)


async def _rounds(pool: Pool, url: str, console: Console) -> Sequence[Round]:
    rounds = []
    with bar(console) as progress:
        task = progress.add_task("publishing", total=ROUNDS)
        async with Publisher(url, HOME) as publisher, _bare(url) as exchanges:
            async with pool.connection() as connection:
                await enroll(connection, RELAY)
            follower = Subscriber(pool, Relay(publisher, _ROUTING))
            await follower.catch_up()
            for number in range(ROUNDS):
                events = await _append(pool, number)
                messages = _messages(events, exchanges)
                bare = 0.0
                if number % 2:
                    bare = await _publish(messages)
                with _counted() as statements:
                    began = time.perf_counter()
                    await follower.catch_up()
                    relay = time.perf_counter() - began
                if not number % 2:
                    bare = await _publish(messages)
                rounds.append(Round(len(events), len(messages), relay, bare, len(statements)))
                progress.advance(task)
        wanted = sum(one.messages for one in rounds)
        if publisher.counted.confirmed != wanted:
            raise RuntimeError(f"{publisher.counted} of {wanted} messages")
    return rounds


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[dict[str, AbstractExchange]]:
    async with await aio_pika.connect(f"{url}/{HOME}") as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        yield {name: await channel.get_exchange(name) for name in EXCHANGES}


async def _publish(messages: Sequence[Outgoing]) -> float:
    """Seconds until all are confirmed."""
    left = iter(messages)

    async def work() -> None:
        for exchange, message, key in left:
            await exchange.publish(message, key, mandatory=True)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began


def _messages(
    events: Sequence[Recorded], exchanges: dict[str, AbstractExchange]
) -> Sequence[Outgoing]:
    messages = []
    for event in events:
        headers, body, content_type = message_of(event, _ROUTING)
        for name in _ROUTING.exchanges_of(event.type):
            message = aio_pika.Message(
                body,
                headers=dict(headers),
                content_type=content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                # Of its own on the only channel: the client tells returned messages apart by it.
                message_id=f"{id_of(event.stream, event.version)}:{name}",
                timestamp=event.recorded_at,
            )
            messages.append(
                (exchanges[name], message, _ROUTING.routing_key(event.type, event.schema))
            )
    return messages


async def _append(pool: Pool, number: int) -> Sequence[Recorded]:
    """What so many orders leave in the store; answers what was stored."""
    store = EventStore(pool, HANDRAIL.codec)
    async with pool.connection() as connection:
        found = await connection.execute("SELECT coalesce(max(position), 0) FROM events")
        [before] = await found.fetchone() or [0]
    orders = iter(range(ORDERS))

    async def work() -> None:
        for order in orders:
            story = _story(f"{number}-{order}", order)
            appends = [(stream, ANY_VERSION, events) for stream, events in story.items()]
            await store.append(appends, metadata=_METADATA)

    await asyncio.gather(*(work() for _ in range(8)))
    async with pool.connection() as connection:
        everything = await read_page(connection, BEGINNING, range(SHARDS), 10_000_000)
    return [one for one in everything.events if one.position > before]


def _story(name: str, number: int) -> dict[str, Sequence[Event]]:
    order, customer = OrderId(name), CustomerId(f"c{number % CUSTOMERS}")
    merchant, sku = MerchantId(f"m{number % 20}"), Sku("cup")
    total, part, fee = Money(100_00, "EUR"), Money(25_00, "EUR"), Money(2_90, "EUR")
    credit: dict[str, Any] = {"customer": customer, "order": order, "held": total, "used": part}
    steps = ("place-order", "hold-credit", "reserve-stock", "capture-payment", "accrue-payable")
    return {
        f"order-{order}": [
            OrderPlaced(
                order=order,
                customer=customer,
                merchant=merchant,
                lines=(),
                total=total,
                down_payment=part,
                instalments=3,
                placed_at=datetime.now(UTC),
            ),
            OrderConfirmed(order=order),
        ],
        f"credit-{customer}": [
            CreditHeld(amount=part, **credit),
            CreditConsumed(amount=part, **credit),
        ],
        f"stock-{merchant}:{sku}": [
            StockReserved(
                merchant=merchant, sku=sku, order=order, quantity=1, available=9, reserved=1
            )
        ],
        f"payment-{order}": [
            PaymentAuthorised(order=order, amount=part, authorisation="a1"),
            PaymentCaptured(order=order, amount=part, capture="c1"),
        ],
        f"merchant-{merchant}": [
            PayableAccrued(merchant=merchant, order=order, gross=total, fee=fee, balance=total)
        ],
        f"saga-checkout-{order}": [
            StepDone(saga=f"checkout-{order}", attempt=1, step=step, outcome="") for step in steps
        ],
    }


async def _declare(management_url: str) -> None:
    """Every message has a place in a stream, as in our topology."""
    async with httpx.AsyncClient(base_url=management_url, timeout=30, trust_env=False) as http:

        async def put(path: str, body: dict[str, Any]) -> None:
            (await http.put(path, json=body)).raise_for_status()

        await put(f"/api/vhosts/{HOME}", {})
        for name in EXCHANGES:
            await put(f"/api/exchanges/{HOME}/{name}", {"type": "topic", "durable": True})
            log = {"durable": True, "arguments": {"x-queue-type": "stream"}}
            await put(f"/api/queues/{HOME}/{name}.log", log)
            where = f"/api/bindings/{HOME}/e/{name}/q/{name}.log"
            (await http.post(where, json={"routing_key": "#"})).raise_for_status()


@contextmanager
def _counted() -> Iterator[list[str]]:
    """Every statement that is sent to the database."""
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def counting(cursor: Any, query: Any, *rest: Any, **more: Any) -> Any:
        sent.append(str(query))
        return await execute(cursor, query, *rest, **more)

    psycopg.AsyncCursor.execute = counting  # type: ignore[assignment,method-assign]
    try:
        yield sent
    finally:
        psycopg.AsyncCursor.execute = execute  # type: ignore[method-assign]


def _result(rounds: Sequence[Round]) -> Result:
    def median(values: Iterator[float]) -> float:
        return statistics.median(values)

    return Result(
        "relay",
        figures={
            "events_per_s": round(median(r.events / r.relay_seconds for r in rounds)),
            "messages_per_s": round(median(r.messages / r.relay_seconds for r in rounds)),
            "bare_messages_per_s": round(median(r.messages / r.bare_seconds for r in rounds)),
            "statements_per_event": round(
                sum(r.statements for r in rounds) / sum(r.events for r in rounds), 4
            ),
        },
        ratios={
            "vs_bare_publisher": round(median(r.bare_seconds / r.relay_seconds for r in rounds), 2)
        },
        config={
            "rounds": len(rounds),
            "events_per_round": rounds[0].events,
            "messages_per_round": rounds[0].messages,
            "bare_in_flight": IN_FLIGHT,
        },
    )

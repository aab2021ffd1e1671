"""A consumer of ours gets each event once, in whatever order a release is brought out.

A release of the inn changes an event's fields and another one's name. Topology, relay and consumer
are exchanged one after the other, and events are written before, between and after. Newer forms are
written once relay and consumer can read them, which is what the write level waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import permutations

import pytest

from handrail.app import App
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.messaging.broker.management_api import Management
from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.broker.topology import keys_of
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.relay.bound_forms import Bindings, BoundForms
from handrail.messaging.relay.relay import Relay
from handrail.messaging.relay.watch_bindings import watch_bindings
from tests.evolution import new_release, old_release
from tests.messaging.relay.inns import NEW_INN, NOTES, OLD_INN, noting
from tests.messaging.relay.world import HOME, World
from tests.projections.world import until

pytestmark = pytest.mark.thorough

PLAN = BrokerPlan(home=HOME, services={"desk": "events"})
OLD = replace(
    OLD_INN,
    broker=PLAN,
    consumers=[
        noting("desk", (old_release.RoomBooked, old_release.KeyHandedOver, old_release.GuestLeft))
    ],
)
NEW = replace(
    NEW_INN,
    broker=PLAN,
    consumers=[
        noting("desk", (new_release.RoomBooked, new_release.KeyGiven, new_release.GuestLeft))
    ],
)
ORDERS = [*permutations(("topology", "relay", "consumer")), ("relay", "consumer")]


@dataclass
class Deployment:
    """`relay` and `consumer` are the release that each has."""

    world: World
    management: Callable[[], Management]
    stays: int = 0
    relay: App = OLD
    consumer: App = OLD

    async def exchange(self, part: str) -> None:
        if part == "topology":
            await self.bind(NEW)
        else:
            setattr(self, part, NEW)

    async def bind(self, app: App) -> None:
        [consumer] = app.consumers
        http = self.world.broker.http
        for key in keys_of(consumer, app.routing):
            where = f"/api/bindings/{HOME}/e/events/q/desk"
            (await http.post(where, json={"routing_key": key})).raise_for_status()

    async def stay(self) -> None:
        levels = NEW.codec.levels
        both = self.relay is self.consumer is NEW
        levels.rows = None if both else {}
        self.stays += 1
        events = [
            new_release.RoomBooked(guest="g", amount=self.stays, floor=3),
            new_release.KeyGiven(guest="g", room=9),
            new_release.GuestLeft(guest="g"),
        ]
        try:
            store = EventStore(self.world.pool, NEW.codec)
            await store.append([("room-1", ANY_VERSION, events)], metadata={"actor": "ann"})
        finally:
            levels.rows = None
        await self.publish()
        await self.consume()

    async def publish(self) -> None:
        """By a relay that knows what queues are bound to; an old one knows no forms."""
        forms = BoundForms(
            self.relay.codec, self.relay.routing, Bindings(), self.world.publisher.counted
        )
        watching = asyncio.create_task(
            watch_bindings(
                forms.bindings,
                self.management,
                self.world.pool,
                self.relay.codec,
                self.relay.routing,
            )
        )

        async def knows() -> bool:
            return self.relay is OLD or forms.bindings.readers is not None

        try:
            await until(knows)
            handler = Relay(self.world.publisher, self.relay.routing, forms=forms)
            follower = Subscriber(self.world.pool, handler, poll=0.005, lease=1.0)
            async with asyncio.timeout(20):
                await follower.catch_up()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def consume(self) -> None:
        [consumer] = self.consumer.consumers
        url = f"{self.world.broker.amqp}/{HOME}"
        process = Consuming(self.world.pool, consumer, self.consumer.codec, url)
        stop = asyncio.Event()
        running = asyncio.create_task(process.run(stop))

        async def noted() -> bool:
            return bool(await self.world.value("SELECT count(*) FROM notes") >= 3 * self.stays)

        try:
            await until(noted)
        finally:
            stop.set()
            await running


@pytest.fixture
async def deployment(world: World, broker: EmbeddedRabbitMQ) -> AsyncIterator[Deployment]:
    """All of the old release."""
    await world.rows(NOTES)
    await world.rows("GRANT SELECT, INSERT ON notes TO handrail_app")
    await world.rows("GRANT USAGE ON SEQUENCE notes_number_seq TO handrail_app")
    body = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    (await world.broker.http.put(f"/api/queues/{HOME}/desk", json=body)).raise_for_status()
    found = Deployment(world, lambda: Management(broker.management_url))
    await found.bind(OLD)
    yield found
    await world.rows("DROP TABLE notes")


@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order) for order in ORDERS])
async def test_no_event_is_missed_and_none_is_handled_twice(
    deployment: Deployment, order: tuple[str, ...]
) -> None:
    await deployment.stay()
    for part in order:
        await deployment.exchange(part)
        await deployment.stay()
    await deployment.stay()

    noted = await deployment.world.rows("SELECT id, event, fields FROM notes ORDER BY number")
    assert [id_ for id_, *_ in noted] == [
        f"room-1/{version}" for version in range(1, 3 * deployment.stays + 1)
    ]
    assert await deployment.world.rows("SELECT 1 FROM parked_messages") == []
    *_, last = [fields for _, event, fields in noted if event == "RoomBooked"]
    assert last == {"guest": "g", "amount": deployment.stays, "floor": 3}
    assert {event for _, event, _ in noted[-3:]} == {"RoomBooked", "KeyGiven", "GuestLeft"}

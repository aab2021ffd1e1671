"""What queues of a real broker get, as the bindings that the relay sees change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from handrail.cli import contract_readers
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import ANY_VERSION, EventStore, Recorded
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.evolution.forms import Form
from handrail.messaging.broker.management_api import Management
from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.cloud_events import message_of, received
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.inbox import Outcome, receive_all
from handrail.messaging.contracts.form_readers import known
from handrail.messaging.envelope import Received
from handrail.messaging.relay.bound_forms import Bindings, BoundForms
from handrail.messaging.relay.relay import Relay
from handrail.messaging.relay.retry_parked import retry
from handrail.messaging.relay.watch_bindings import watch_bindings
from handrail.settings import Settings
from tests.evolution import old_release
from tests.evolution.new_release import NEW, GuestLeft, KeyGiven, RoomBooked
from tests.messaging.relay.inns import OLD_INN
from tests.messaging.relay.world import HOME, World
from tests.projections.world import until

APP = replace(NEW, broker=BrokerPlan(home=HOME))
OLD, BOOKED = "inn.RoomBooked.v1", "inn.RoomBooked.v2"


class Inn:
    """The events of the inn in the world's store, and the relay that publishes them."""

    def __init__(self, world: World, management_url: str) -> None:
        self.world = world
        self.management_url = management_url
        self.forms = BoundForms(APP.codec, APP.routing, Bindings(), world.publisher.counted)
        self.management: Callable[[], Management] = lambda: Management(management_url)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(
            watch_bindings(
                self.forms.bindings,
                self.management,
                self.world.pool,
                APP.codec,
                APP.routing,
                seconds=0.05,
            )
        )
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def queue(self, name: str, *keys: str) -> None:
        """Bound to `events` with these keys."""
        http = self.world.broker.http
        body = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
        (await http.put(f"/api/queues/{HOME}/{name}", json=body)).raise_for_status()
        for key in keys:
            where = f"/api/bindings/{HOME}/e/events/q/{name}"
            (await http.post(where, json={"routing_key": key})).raise_for_status()

    async def unbind(self, name: str, key: str) -> None:
        where = f"/api/bindings/{HOME}/e/events/q/{name}/{key}"
        (await self.world.broker.http.delete(where)).raise_for_status()

    async def sees(self, *readers: str) -> None:
        """Wait until these are the readers of all queues but the world's own."""
        own = {f"{HOME}/{name}" for name in self.world.broker.queues}

        async def seen() -> bool:
            found = self.forms.bindings.readers
            return found is not None and {one.name for one in found} - own == set(readers)

        await until(seen)

    async def unknown(self) -> bool:
        return self.forms.bindings.readers is None

    async def stay(self) -> None:
        store = EventStore(self.world.pool, APP.codec)
        events = [
            RoomBooked(guest="g", amount=5, floor=2),
            KeyGiven(guest="g", room=9),
            GuestLeft(guest="g"),
        ]
        await store.append([("room-1", ANY_VERSION, events)], metadata={"actor": "ann"})
        follower = Subscriber(
            self.world.pool,
            Relay(self.world.publisher, APP.routing, forms=self.forms),
            poll=0.005,
            lease=1.0,
        )
        async with asyncio.timeout(20):
            await follower.catch_up()

    async def got(self, queue: str) -> list[tuple[int, str]]:
        """The version in the stream and the key of each message, in the order of the queue."""
        return [(one.version, one.key) for one in await self.world.broker.read(queue)]


def nowhere() -> Management:
    return Management("http://a:b@127.0.0.1:1")


@pytest.fixture
async def inn(world: World, broker: EmbeddedRabbitMQ) -> Inn:
    return Inn(world, broker.management_url)


async def test_a_queue_gets_the_form_it_is_bound_to_and_the_stored_one_goes_out_once(
    inn: Inn,
) -> None:
    await inn.queue("old", OLD, "inn.KeyHandedOver.v1", "inn.GuestLeft.v1")
    async with inn.watching():
        await inn.sees(f"{HOME}/old")
        await inn.stay()
    assert await inn.got("old") == [(1, OLD), (2, "inn.KeyHandedOver.v1"), (3, "inn.GuestLeft.v1")]
    assert await inn.got("events") == [
        (1, BOOKED),
        (1, OLD),
        (2, "inn.KeyGiven.v2"),
        (2, "inn.KeyHandedOver.v1"),
        (3, "inn.GuestLeft.v1"),
    ]


async def test_once_no_queue_is_bound_to_an_old_form_it_is_published_no_more(inn: Inn) -> None:
    await inn.queue("old", OLD)
    async with inn.watching():
        await inn.sees(f"{HOME}/old")
        await inn.unbind("old", OLD)
        await inn.sees()
        await inn.stay()
    assert await inn.got("events") == [
        (1, BOOKED),
        (2, "inn.KeyGiven.v2"),
        (3, "inn.GuestLeft.v1"),
    ]


async def test_while_the_management_api_is_away_nothing_waits_and_every_form_is_published(
    inn: Inn,
) -> None:
    inn.management = nowhere
    async with inn.watching():
        await inn.queue("new", "inn.KeyHandedOver.v1")
        await inn.stay()
        assert await inn.unknown()
    assert await inn.got("new") == [(2, "inn.KeyHandedOver.v1")]
    assert (1, OLD) in await inn.got("events")


async def test_an_api_that_goes_away_makes_the_bindings_unknown_at_once(inn: Inn) -> None:
    away = False
    there = inn.management

    def management() -> Management:
        return nowhere() if away else there()

    inn.management = management
    await inn.queue("old", OLD)
    async with inn.watching():
        await inn.sees(f"{HOME}/old")
        away = True
        await until(inn.unknown)
        away = False
        await inn.sees(f"{HOME}/old")


async def test_what_was_parked_is_published_in_all_its_forms_when_it_is_retried(inn: Inn) -> None:
    await inn.queue("old", OLD)
    await inn.world.broker.unbind("events")
    async with inn.watching():
        await inn.sees(f"{HOME}/old")
        await inn.stay()
        assert await inn.got("old") == []
        assert len(await inn.world.parked()) == 3

        await inn.world.broker.bind("events")
        done = await retry(inn.world.pool, inn.world.publisher, APP.routing, forms=inn.forms)
    assert (done.published, done.stopped_by) == (3, [])
    assert await inn.got("old") == [(1, OLD)]
    assert await inn.world.parked() == []


@pytest.mark.parametrize("release", ["new", "old"])
async def test_a_consumer_handles_a_copy_as_it_is_stored_where_it_can_read_that(
    inn: Inn, release: str
) -> None:
    await inn.stay()
    [(position, recorded_at)] = await inn.world.rows(
        "SELECT position, recorded_at FROM events WHERE type = 'RoomBooked'"
    )
    lowered = {"guest": "g", "sum": 5}
    about = {"actor": "ann"}
    event = Recorded(position, "room-1", 1, "RoomBooked", 1, lowered, about, recorded_at)
    headers, body, _ = message_of(event, APP.routing, stored=Form("RoomBooked", 2))
    assert headers["ce-stored"] == BOOKED
    codec, wants = {
        "new": (APP.codec, RoomBooked),
        "old": (OLD_INN.codec, old_release.RoomBooked),
    }[release]
    copy = received(headers, body, codec)
    handled: list[dict[str, Any]] = []

    async def handle(_: Connection, one: Received) -> None:
        handled.append(vars(one.event))

    consumer = Consumer(name="c", vhost=HOME, queue="c", wants=(wants,), handle=handle)
    async with inn.world.pool.connection() as connection:
        outcomes = [*await receive_all(connection, consumer, [copy, copy])]
    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert handled == [{"new": {"guest": "g", "amount": 5, "floor": 2}, "old": lowered}[release]]


async def test_the_readers_of_each_form_are_noted_and_those_that_are_gone_since_when(
    inn: Inn, capsys: pytest.CaptureFixture[str]
) -> None:
    await inn.queue("old", OLD)
    settings = Settings(
        database_url=inn.world.url,
        broker_management_url=inn.management_url,
    )

    async def noted() -> bool:
        async with inn.world.pool.connection() as connection:
            found = await known(connection, [Form("RoomBooked", 1)])
        return found.then(Form("RoomBooked", 1)) == [f"{HOME}/old"]

    async def readers() -> dict[str, Any]:
        assert await contract_readers.readers(APP, settings, "RoomBooked", json=True) == 0
        said = orjson.loads(capsys.readouterr().out.splitlines()[-1])
        assert [one["form"]["version"] for one in said["forms"]] == [2, 1]
        return dict(said["forms"][1])

    async with inn.watching():
        await inn.sees(f"{HOME}/old")
        await until(noted)
        bound = await readers()
        assert (bound["queues"], bound["none_since"]) == ([f"{HOME}/old"], None)

        await inn.unbind("old", OLD)
        await inn.sees()
        gone = await readers()
    assert gone["queues"] == []
    assert gone["none_since"] is not None
    assert gone["gone"][0]["queue"] == f"{HOME}/old"

"""A consumer process of the release before, at a real broker, while newer forms are written.

The writer pays no regard to what the old consumer announces that it reads: a consumer of another
team announces nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aio_pika
import psycopg
import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.dev.supervisor import Service
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.definitions import Access, difference, found_in, objects_of
from handrail.messaging.broker.management_api import Management, apply, login_in
from handrail.messaging.broker.topology import Binding, Topology, topology
from handrail.settings import Settings
from tests.evolution.new_release import GuestLeft, KeyGiven, RoomBooked
from tests.messaging.relay.inns import DESK, HOME, NEW_INN, NOTES, OLD_INN
from tests.projections.world import until

pytestmark = pytest.mark.journey  # it starts whole processes

STREAMS = 10
ROUNDS = 6
KILLS = 3
PASSWORD = "not/a-secret"


@dataclass
class Inn:
    url: str
    owner: psycopg.AsyncConnection[Any]
    store: EventStore
    broker: EmbeddedRabbitMQ
    folder: Path

    def service(self, name: str, release: str, *arguments: str) -> Service:
        amqp, http = self.broker.url, self.broker.management_url.rpartition("@")[2]
        settings = Settings(
            database_url=self.url,
            data_dir=self.folder,
            broker_url=amqp,
            broker_bindings_url=f"http://relay:{quote(PASSWORD, safe='')}@{http}",
            consumer_patience_seconds=600,
        )
        return Service(
            name,
            arguments,
            folder=self.folder,
            environment={
                **settings.environment(),
                "HANDRAIL_APP": f"tests.messaging.relay.inns:{release}",
            },
        )

    async def stay(self, number: int) -> None:
        """A stay in each stream: what release N has as RoomBooked v1 and KeyHandedOver v1."""
        for stream in range(STREAMS):
            guest = f"g{stream}"
            events = [
                RoomBooked(guest=guest, amount=number, floor=3),
                KeyGiven(guest=guest, room=number),
                GuestLeft(guest=guest),
            ]
            await self.store.append(
                [(f"room-{stream}", ANY_VERSION, events)], metadata={"actor": "ann"}
            )

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        found = await self.owner.execute(query.encode(), values or None)
        return await found.fetchall() if found.description else []

    async def noted(self, consumer: str) -> list[tuple[Any, ...]]:
        """In the order in which it had its effect."""
        return await self.rows(
            "SELECT id, stream, version, schema, event, fields FROM notes WHERE consumer = %s"
            " ORDER BY number",
            consumer,
        )

    async def has_noted(self, consumer: str, events: int) -> bool:
        return len(await self.noted(consumer)) >= events

    async def knows_readers(self, *readers: str) -> bool:
        """Whether the relay has looked at what queues are bound to."""
        found = await self.rows("SELECT DISTINCT reader FROM form_readers")
        return set(readers) <= {reader for (reader,) in found}

    async def taken(self, queue: str) -> Sequence[tuple[str, str]]:
        """The id and the routing key of all that is in a queue at home."""
        async with await aio_pika.connect(f"{self.broker.url}/{HOME}") as connection:
            source = await (await connection.channel()).get_queue(queue)
            found = []
            while message := await source.get(no_ack=True, fail=False):
                found.append((str(message.headers["ce-id"]), str(message.routing_key)))
            return found


def declared() -> Topology:
    """That of the new release, and the old one's consumer with a queue that is bound to `.v1`."""
    both = topology(NEW_INN.routing, NEW_INN.consumers)
    old = topology(OLD_INN.routing, OLD_INN.consumers)
    [home] = [host for host in both.hosts if host.name == HOME]
    [desk] = [host for host in both.hosts if host.name == DESK]
    [desk_of_old] = [host for host in old.hosts if host.name == DESK]
    ahead = replace(desk_of_old.queues[0], name="ahead", one_consumer_at_a_time=False)
    return Topology(
        hosts=(
            replace(
                home,
                queues=(*home.queues, ahead),
                bindings=(*home.bindings, Binding("events", "ahead", "inn.RoomBooked.v2")),
            ),
            replace(
                desk,
                queues=tuple(dict.fromkeys((*desk.queues, *desk_of_old.queues))),
                bindings=(
                    *desk.bindings,
                    *(
                        replace(one, key=one.key.replace("*", "v1"))
                        for one in desk_of_old.bindings
                        if one.exchange == "events"
                    ),
                ),
            ),
        ),
        permissions=both.permissions,
    )


async def set_up(broker: EmbeddedRabbitMQ) -> None:
    wanted = declared()
    access = Access(
        dict.fromkeys(wanted.users, PASSWORD),
        f"amqp://{broker.url.rpartition('@')[2]}",
        login_in(broker.management_url),
    )
    objects = objects_of(wanted, access)
    async with Management(broker.management_url) as management:
        found = found_in(await management.definitions(), [HOME, DESK])
        assert not await apply(management, objects, found, difference(objects, found))
        assert not await federation_status.complete(management, wanted, 30)


@pytest.fixture
async def inn(database: str, broker: EmbeddedRabbitMQ, tmp_path: Path) -> AsyncIterator[Inn]:
    await set_up(broker)
    async with (
        open_pool(database, role="handrail_app", size=4) as pool,
        await psycopg.AsyncConnection.connect(database, autocommit=True) as owner,
    ):
        await owner.execute(NOTES)
        await owner.execute("GRANT SELECT, INSERT ON notes TO handrail_app")
        await owner.execute("GRANT USAGE ON SEQUENCE notes_number_seq TO handrail_app")
        yield Inn(database, owner, EventStore(pool, NEW_INN.codec), broker, tmp_path)
        await owner.execute("DROP TABLE notes")


@asynccontextmanager
async def running(*services: Service) -> AsyncIterator[None]:
    try:
        await asyncio.gather(*(one.start() for one in services))
        yield
    finally:
        await asyncio.gather(*(one.stop() for one in services))


def written(rounds: int) -> Mapping[str, Sequence[str]]:
    return {
        f"room-{stream}": [f"room-{stream}/{version}" for version in range(1, 3 * rounds + 1)]
        for stream in range(STREAMS)
    }


def by_stream(notes: Sequence[tuple[Any, ...]]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for id_, stream, *_ in notes:
        found.setdefault(stream, []).append(id_)
    return found


async def test_an_old_consumer_gets_every_event_once_in_order_while_relays_are_killed(
    inn: Inn,
) -> None:
    old = inn.service("porter", "OLD_INN", "consumer", "porter")
    new = inn.service("clerk", "NEW_INN", "consumer", "clerk")
    relay = inn.service("relay", "NEW_INN", "relay")
    levels = NEW_INN.codec.levels
    half = ROUNDS // 2
    levels.rows = {}  # first the old forms are written, then the newest
    try:
        async with running(old), running(new, relay):  # it holds back what new processes raise
            for number in range(ROUNDS):
                if number == half:
                    levels.rows = None
                await inn.stay(number)
                if number % 2 == 1 and number // 2 < KILLS:
                    await relay.kill()
                    await relay.start()
            events = 3 * STREAMS * ROUNDS
            await until(lambda: inn.has_noted("porter", events), seconds=60)
            await until(lambda: inn.has_noted("clerk", events), seconds=60)
            await until(lambda: inn.knows_readers("desk/porter", "desk/clerk"), seconds=30)
    finally:
        levels.rows = None

    of_old, of_new = await inn.noted("porter"), await inn.noted("clerk")
    assert by_stream(of_old) == by_stream(of_new) == written(ROUNDS)
    assert {(event, schema) for *_, schema, event, _ in of_old} == {
        ("RoomBooked", 1),
        ("KeyHandedOver", 1),
        ("GuestLeft", 1),
    }
    sums = [
        fields["sum"]
        for _, stream, *_, event, fields in of_old
        if (stream, event) == ("room-0", "RoomBooked")
    ]
    assert sums == list(range(ROUNDS))
    floors = {fields["floor"] for *_, event, fields in of_new if event == "RoomBooked"}
    assert floors == {0, 3}, "what the old form lost is the default, and the newer ones have it"
    assert await inn.rows("SELECT 1 FROM parked_messages") == []
    assert await inn.rows("SELECT 1 FROM parked_events") == []

    ahead = await inn.taken("ahead")
    assert {key for _, key in ahead} == {"inn.RoomBooked.v2"}
    first = list(dict.fromkeys(id_ for id_, _ in ahead))
    booked = {id_ for id_, *_, event, _ in of_new if event == "RoomBooked"}
    assert set(first) == booked, "a queue that is ahead gets what was written in the old form"

"""A broker with the topology, as its administrator sees it, and as each service does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aio_pika
import httpx
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.kernel import Event
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.definitions import (
    Access,
    Difference,
    Key,
    Objects,
    difference,
    found_in,
    objects_of,
)
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.broker.management_api import Management, apply, login_in
from handrail.messaging.broker.topology import Topology, topology
from runtime.app import HANDRAIL
from tests.unencrypted import a_client

HOSTS: Final = ("commerce", "finance", "logistics", "customers")
SERVICES: Final = ("finance", "logistics", "customers")
EXCHANGES: Final = ("events", "money", "parcels", "sagas")
BY_CONTEXT: Final = {
    "ordering": ("events",),
    "credit": ("events", "money"),
    "payments": ("events", "money"),
    "settlement": ("events", "money"),
    "inventory": ("events", "parcels"),
    "shipping": ("events", "parcels"),
    "customers": ("events",),
    "sagas": ("sagas",),
}


def address_of(event: type[Event]) -> tuple[tuple[str, ...], str]:
    """Its exchanges and its key, told from where its class is."""
    context = event.context
    return BY_CONTEXT[context], f"{context}.{event.__name__}.v1"


def password_of(user: str) -> str:
    return f"{user}/p@ss"


@dataclass
class House:
    server: EmbeddedRabbitMQ
    http: httpx.AsyncClient
    management: Management
    declared: Topology

    @property
    def address(self) -> str:
        return self.server.url.rpartition("@")[2]

    @property
    def objects(self) -> Objects:
        passwords = {user: password_of(user) for user in self.declared.users}
        login = login_in(self.server.management_url)
        return objects_of(self.declared, Access(passwords, f"amqp://{self.address}", login))

    async def build(self) -> None:
        for host in HOSTS:
            await self.http.delete(f"/api/vhosts/{host}")
        await self.apply()
        assert not await federation_status.complete(self.management, self.declared, 20)

    async def mend(self) -> None:
        if await self.apply(prune=True):  # other tests left something behind
            await self.build()
        for host in SERVICES:
            for one in await self.get(f"queues/{host}"):
                await self.ask("DELETE", f"queues/{host}/{one['name']}/contents")
        assert not await federation_status.complete(self.management, self.declared, 20)

    async def found(self) -> Objects:
        return found_in(await self.management.definitions(), HOSTS)

    async def diff(self) -> Difference:
        return difference(self.objects, await self.found())

    async def apply(self, *, prune: bool = False) -> dict[Key, str]:
        found = await self.found()
        unlike = difference(self.objects, found)
        return dict(await apply(self.management, self.objects, found, unlike, prune=prune))

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        answer = await self.http.request(method, f"/api/{path}", json=body)
        return answer.raise_for_status()

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).json()

    @asynccontextmanager
    async def connected(self, user: str, vhost: str) -> AsyncIterator[AbstractConnection]:
        url = f"{self.url_of(user)}/{quote(vhost, '')}"
        async with await aio_pika.connect(url, timeout=10) as connection:
            yield connection

    @asynccontextmanager
    async def administering(self, vhost: str) -> AsyncIterator[AbstractConnection]:
        async with await aio_pika.connect(f"{self.server.url}/{quote(vhost, '')}") as connection:
            yield connection

    async def finance(self) -> Fed:
        found = await federation_status.look(self.management, self.declared)
        [one] = [one for one in found if one.vhost == "finance"]
        return one

    async def close_the_way(self) -> None:
        """The upstream lets finance's federation in no more; `apply` opens it again."""
        none = {"configure": "^$", "write": "^$", "read": "^$"}
        await self.ask("PUT", "permissions/commerce/finance-federation", none)
        login = {"password": "changed", "tags": "handrail"}
        await self.ask("PUT", "users/finance-federation", login)
        await self.ask("DELETE", "connections/username/finance-federation")

    def url_of(self, user: str) -> str:
        return f"amqp://{user}:{quote(password_of(user), safe='')}@{self.address}"

    async def publish(self, events: Sequence[tuple[type[Event], str]]) -> None:
        """As the relay does: in order, each confirmed. The text is the message's id."""
        async with self.connected("relay", "commerce") as connection:
            channel = await connection.channel(on_return_raises=True)
            exchanges = {name: await channel.get_exchange(name, ensure=False) for name in EXCHANGES}
            for event, id_ in events:
                places, key = address_of(event)
                for place in places:
                    message = aio_pika.Message(
                        b"{}", message_id=id_, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                    )
                    await exchanges[place].publish(message, key, mandatory=True)

    async def take(self, vhost: str, queue: str, *, until: str) -> list[str]:
        """The ids of messages, in the order of the queue, to the first with this one."""
        async with self.administering(vhost) as connection:
            return [str(one.message_id) for one in await taken(connection, queue, until=until)]


async def taken(
    connection: AbstractConnection, name: str, *, until: str
) -> list[AbstractIncomingMessage]:
    """Messages, which are gone from the queue then."""
    got: list[AbstractIncomingMessage] = []
    async with asyncio.timeout(20), connection.channel() as channel:
        await channel.set_qos(500)
        queue = await channel.get_queue(name, ensure=False)
        async with queue.iterator() as messages:
            async for message in messages:
                got.append(message)
                await message.ack()
                if message.message_id == until:
                    break
    return got


@asynccontextmanager
async def a_house(server: EmbeddedRabbitMQ) -> AsyncIterator[House]:
    async with (
        a_client(server.management_url, trust_env=False, timeout=30) as http,
        Management(server.management_url) as management,
    ):
        yield House(server, http, management, topology(HANDRAIL.routing, HANDRAIL.consumers))

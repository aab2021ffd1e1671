"""Dead and unrouted messages of a real broker, and the user that handles them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.kernel import Attribution
from handrail.messaging.broker.dead_messages import DeadMessages
from handrail.messaging.broker.definitions import Access, difference, found_in, objects_of
from handrail.messaging.broker.management_api import Management, apply, login_in
from handrail.messaging.broker.topology import OPERATOR, topology
from runtime.app import HANDRAIL
from tests.messaging.broker.house import HOSTS, House, password_of
from tests.projections.world import until

BY: Final = Attribution("person:olaf", "mended in 1.2.3")
LEDGER, KEY = "ledger", "settlement.PayableAccrued.v1"


@dataclass
class Dead:
    """`at` is what an operator works with."""

    house: House
    at: DeadMessages

    async def dies(self, *ids: str, body: bytes = b'{"fee": "wrong"}') -> None:
        """Messages that finance's consumer rejects."""
        async with self.house.administering("finance") as connection:
            channel = await connection.channel()
            for position, id_ in enumerate(ids, 1):
                message = aio_pika.Message(
                    body,
                    message_id=id_,
                    headers={"ce-id": id_, "ce-stream": "merchant-1", "ce-position": str(position)},
                    content_type="application/json",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                exchange = await channel.get_exchange("money", ensure=False)
                await exchange.publish(message, KEY)
            for got in await _some(channel, LEDGER, len(ids)):
                await got.reject(requeue=False)
        await self.waits("dead", len(ids))

    async def unrouted(self, id_: str, key: str) -> None:
        async with self.house.administering("finance") as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange("money", ensure=False)
            await exchange.publish(aio_pika.Message(b"{}", message_id=id_), key)
        await self.waits("unrouted", 1)

    async def waits(self, queue: Literal["dead", "unrouted"], many: int) -> None:
        """Until so many are there: to die takes the broker a moment."""
        async with self.house.administering("finance") as connection:
            await _some(await connection.channel(), queue, many)

    async def holds(self, queue: str, *ids: str) -> None:
        """Until exactly these are there: what was looked at comes back a moment later."""

        async def so() -> bool:
            return await self.ids(queue) == list(ids)

        await until(so)

    async def ids(self, queue: str) -> list[str]:
        """Of the messages in a queue of finance, which stay there."""
        return [str(one.message_id) for one in await self._all(queue)]

    async def bodies(self, queue: str, many: int = 1) -> list[bytes]:
        """Of so many messages, once they are there."""
        async with self.house.administering("finance") as connection:
            return [one.body for one in await _some(await connection.channel(), queue, many)]

    async def _all(self, queue: str) -> list[AbstractIncomingMessage]:
        async with self.house.administering("finance") as connection:
            channel = await connection.channel()
            found = await channel.declare_queue(queue, passive=True)
            return await _some(channel, queue, found.declaration_result.message_count or 0)


async def _some(channel: AbstractChannel, name: str, many: int) -> list[AbstractIncomingMessage]:
    """So many, as soon as they are there; what is not acknowledged stays in the queue. A queue with
    one consumer at a time can only be consumed.
    """
    got: list[AbstractIncomingMessage] = []
    queue = await channel.get_queue(name, ensure=False)
    async with asyncio.timeout(20):
        if many:
            async with queue.iterator() as messages:
                async for message in messages:
                    got.append(message)
                    if len(got) == many:
                        return got
    return got


@asynccontextmanager
async def a_dead_letter_office(house: House, engine: AsyncEngine) -> AsyncIterator[Dead]:
    """As its user, who is declared beside the others and has gone again at the end."""
    declared = topology(HANDRAIL.routing, HANDRAIL.consumers, operator=True)
    passwords = {user: password_of(user) for user in declared.users}
    login = login_in(house.server.management_url)
    objects = objects_of(declared, Access(passwords, f"amqp://{house.address}", login))
    found = found_in(await house.management.definitions(), HOSTS)
    await apply(house.management, objects, found, difference(objects, found))
    yield Dead(house, at_work_as(house, engine))


def at_work_as(house: House, engine: AsyncEngine) -> DeadMessages:
    return DeadMessages(
        url=lambda: house.url_of(OPERATOR),
        management=_management(house),
        topology=topology(HANDRAIL.routing, HANDRAIL.consumers),
        connected=engine.connect,
    )


def management_url(house: House) -> str:
    scheme, _, address = house.server.management_url.partition("://")
    login = house.url_of(OPERATOR).partition("://")[2].partition("@")[0]
    return f"{scheme}://{login}@{address.rpartition('@')[2]}"


def _management(house: House) -> Callable[[], Management]:
    return lambda: Management(management_url(house))


async def acts(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT * FROM dead_message_acts ORDER BY id"))
        return [dict(one) for one in found.mappings()]

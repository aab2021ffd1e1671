"""Where events end up, and what becomes of those that nobody can take."""

from __future__ import annotations

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from runtime.app import HANDRAIL
from tests.messaging.broker.house import House, taken


async def test_each_event_comes_to_the_consumers_that_want_it_and_to_no_other(house: House) -> None:
    events = [(event, event.__name__) for event in HANDRAIL.events]
    last = [(consumer.wants[0], f"the end for {consumer.name}") for consumer in HANDRAIL.consumers]

    await house.publish([*events, *last])  # none is returned

    for consumer in HANDRAIL.consumers:
        wanted = [id_ for event, id_ in (*events, *last) if event in consumer.wants]
        assert await house.take(consumer.vhost, consumer.queue, until=wanted[-1]) == wanted


async def test_an_event_of_a_newer_schema_comes_too(house: House) -> None:
    async with house.connected("relay", "commerce") as connection:
        exchange = await (await connection.channel()).get_exchange("money", ensure=False)
        message = aio_pika.Message(b"{}", message_id="newer")
        await exchange.publish(message, "payments.RefundPaid.v2")

    assert await house.take("finance", "ledger", until="newer") == ["newer"]


async def test_a_rejected_message_is_among_the_dead_letters_with_the_reason(house: House) -> None:
    await _put(house, "ledger", "broken")
    async with house.connected("finance", "finance") as connection:
        queue = await (await connection.channel()).get_queue("ledger", ensure=False)
        await queue.consume(_refuse)
        letter = await _letter(house, "broken")

    assert letter.headers["x-first-death-reason"] == "rejected"
    assert letter.headers["x-first-death-queue"] == "ledger"


async def test_a_message_that_always_comes_back_is_among_the_dead_letters(house: House) -> None:
    await _put(house, "ledger", "poison")
    deliveries = 0
    async with house.connected("finance", "finance") as connection:
        channel = await connection.channel()
        await channel.set_qos(1)
        queue = await channel.get_queue("ledger", ensure=False)

        async def give_back(message: AbstractIncomingMessage) -> None:
            nonlocal deliveries
            deliveries += 1
            await message.reject(requeue=True)

        await queue.consume(give_back)
        letter = await _letter(house, "poison")

    assert letter.headers["x-first-death-reason"] == "delivery_limit"
    assert deliveries == 21


async def test_what_no_queue_is_bound_to_downstream_is_kept_where_someone_sees_it(
    house: House,
) -> None:
    async with house.administering("finance") as connection:
        exchange = await (await connection.channel()).get_exchange("money")
        await exchange.publish(aio_pika.Message(b"{}", message_id="lost"), "credit.CreditHeld.v1")

    assert await house.take("finance", "unrouted", until="lost") == ["lost"]


async def _put(house: House, queue: str, id_: str) -> None:
    async with house.administering("finance") as connection:
        channel = await connection.channel()
        message = aio_pika.Message(
            b"{}", message_id=id_, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        await channel.default_exchange.publish(message, queue)


async def _refuse(message: AbstractIncomingMessage) -> None:
    await message.reject(requeue=False)


async def _letter(house: House, id_: str) -> AbstractIncomingMessage:
    async with house.administering("finance") as connection:
        [letter] = await taken(connection, "dead", until=id_)
    return letter

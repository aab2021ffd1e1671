"""Each user can do what its service does, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, InvalidFrameError
from pamqp import constants

from handrail.messaging.broker.definitions import Key
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from tests.messaging.broker.house import EXCHANGES, HOSTS, SERVICES, House, password_of

FEDERATION = {
    "finance-federation": "money",
    "logistics-federation": "parcels",
    "customers-federation": "events",
}
USERS = ("relay", *SERVICES, *FEDERATION)
HOMES = {
    "relay": "commerce",
    **{one: one for one in SERVICES},
    **dict.fromkeys(FEDERATION, "commerce"),
}
QUEUES = {"finance": "ledger", "logistics": "packing", "customers": "notifications"}
QUEUES_OF = {
    "commerce": ("events.log", "money.log", "parcels.log"),
    **{host: (queue, "dead", "unrouted") for host, queue in QUEUES.items()},
}
EXCHANGES_OF = {
    "commerce": EXCHANGES,
    "finance": ("money", "dead", "unrouted"),
    "logistics": ("parcels", "dead", "unrouted"),
    "customers": ("events", "dead", "unrouted"),
}


@dataclass(frozen=True)
class Try:
    what: str
    do: Callable[[AbstractChannel], Awaitable[object]]


def publish(exchange: str) -> Try:
    async def do(channel: AbstractChannel) -> None:
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(aio_pika.Message(b"forged"), "nobody.wants.this", mandatory=False)

    return Try(f"publish to {exchange}", do)


def consume(queue: str) -> Try:
    async def do(channel: AbstractChannel) -> None:
        async def ignore(_: object) -> None: ...

        source = await channel.get_queue(queue, ensure=False)
        await channel.set_qos(1)  # which a stream wants
        tag = await source.consume(ignore)
        await source.cancel(tag)

    return Try(f"take from {queue}", do)


def declare(queue: str) -> Try:
    return Try(f"make queue {queue}", lambda channel: channel.declare_queue(queue, durable=True))


def declare_exchange(exchange: str) -> Try:
    return Try(f"make exchange {exchange}", lambda channel: channel.declare_exchange(exchange))


def delete(queue: str) -> Try:
    return Try(f"delete {queue}", lambda channel: channel.queue_delete(queue))


def delete_exchange(exchange: str) -> Try:
    return Try(f"delete exchange {exchange}", lambda channel: channel.exchange_delete(exchange))


def purge(queue: str) -> Try:
    async def do(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).purge()

    return Try(f"empty {queue}", do)


def bind(exchange: str, queue: str) -> Try:
    async def do(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, "more.#")

    return Try(f"bind {queue} to {exchange}", do)


async def refusal(house: House, user: str, host: str, attempt: Try) -> bool:
    """Whether the broker refused it for want of a right."""
    async with house.connected(user, host) as connection:
        try:
            await attempt.do(await connection.channel())
        except ChannelAccessRefused:
            return True
    return False


def allowed(user: str) -> set[str]:
    """What its service does."""
    if user == "relay":
        return {publish(one).what for one in EXCHANGES}
    if user in QUEUES:
        return {consume(QUEUES[user]).what, purge(QUEUES[user]).what}  # purging is taking all
    return set()


def attempts_in(host: str) -> list[Try]:
    """All that can be tried there."""
    return [
        *map(publish, (*EXCHANGES_OF[host], "amq.topic")),
        *map(consume, QUEUES_OF[host]),
        *map(delete, QUEUES_OF[host]),
        *map(delete_exchange, EXCHANGES_OF[host]),
        *(bind(exchange, queue) for exchange in EXCHANGES_OF[host] for queue in QUEUES_OF[host]),
        *map(purge, [queue for queue in QUEUES_OF[host] if not queue.endswith(".log")]),
        declare("mine"),
        declare_exchange("mine"),
    ]


@pytest.mark.quick(1)
@pytest.mark.parametrize("host", SERVICES)
async def test_the_relay_may_look_at_the_bindings_of_a_service_and_do_nothing_there(
    house: House, host: str
) -> None:
    attempts = attempts_in(host)
    assert [one.what for one in attempts if not await refusal(house, "relay", host, one)] == []

    http = house.server.management_url.rpartition("@")[2].removeprefix("http://")
    login = f"relay:{quote(password_of('relay'), safe='')}"
    async with Management(f"http://{login}@{http}") as management:
        seen = {(one["vhost"], one["destination"]) for one in await management.bindings()}
        assert (host, QUEUES[host]) in seen
        with pytest.raises(BrokerSaidNo):
            await management.make(Key("queue", host, "mine"), {"durable": True})
        with pytest.raises(BrokerSaidNo):
            await management.definitions()


@pytest.mark.quick(4)
@pytest.mark.parametrize("user", USERS)
async def test_a_user_has_no_other_virtual_host(house: House, user: str) -> None:
    for host in ("/", *HOSTS):
        if host == HOMES[user] or (user == "relay" and host in SERVICES):
            async with house.connected(user, host):
                continue
        with pytest.raises(InvalidFrameError, match=r"Connection\.Close"):
            async with house.connected(user, host):
                pass


@pytest.mark.quick(4)
@pytest.mark.parametrize("user", USERS)
async def test_a_user_can_do_what_its_service_does_and_nothing_else(
    house: House, user: str
) -> None:
    host = HOMES[user]
    attempts = attempts_in(host)

    refused = {one.what for one in attempts if await refusal(house, user, host, one)}

    assert {one.what for one in attempts} - refused == allowed(user)
    assert not await house.diff()


@pytest.mark.parametrize("user", USERS)
async def test_a_user_cannot_manage(house: House, user: str) -> None:
    looks = {"overview", "queues"} if user == "relay" else set()
    for path in ("overview", "definitions", "queues", "users"):
        answer = await house.http.get(f"/api/{path}", auth=(user, f"{user}/p@ss"))

        assert answer.status_code == (200 if path in looks else 401)


@pytest.mark.quick(1)
@pytest.mark.parametrize(("user", "exchange"), FEDERATION.items())
async def test_federation_of_one_cannot_touch_that_of_another(
    house: House, user: str, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client does not think that queues may have such names.
    monkeypatch.setitem(constants.DOMAIN_REGEX, "queue-name", re.compile(".*"))
    made = {one["name"] for one in await house.get("queues/commerce")} - {*QUEUES_OF["commerce"]}
    [own] = [name for name in made if name.startswith(f"federation: {exchange} -> ")]
    assert len(made) == len(FEDERATION)

    for name in made - {own}:
        for attempt in (consume(name), delete(name), purge(name)):
            assert await refusal(house, user, "commerce", attempt)
    for other in {*EXCHANGES} - {exchange}:
        assert await refusal(house, user, "commerce", bind(other, own))
    assert not await refusal(house, user, "commerce", bind(exchange, own))
    await house.ask("DELETE", f"bindings/commerce/e/{exchange}/q/{quote(own, safe='')}/more.%23")

"""Passwords of broker users change while messages flow: none is lost, and none is handled twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

import aio_pika
import pytest

from consumers import finance
from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import PayableAccrued
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.definitions import Access, difference, objects_of
from handrail.messaging.broker.management_api import apply, login_in
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.relay.publisher import Publisher
from handrail.messaging.relay.relay import Relay
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.messaging.broker.house import House, password_of
from tests.messaging.consumers.lines import running
from tests.messaging.consumers.place import Place, a_place
from tests.projections.world import until

pytestmark = pytest.mark.thorough

USERS = ("relay", "finance", "finance-federation")


@pytest.fixture
async def place(database: str) -> AsyncIterator[Place]:
    async with a_place(database) as one:
        yield one


@dataclass
class Passwords:
    """What the processes read before each connection, as from a file."""

    house: House
    by_user: dict[str, str] = field(default_factory=dict)

    def url_of(self, user: str) -> str:
        password = self.by_user.get(user, password_of(user))
        return f"amqp://{user}:{quote(password, safe='')}@{self.house.address}"

    async def tell_the_broker(self) -> None:
        """As `handrail topology apply` does."""
        users = {one: password_of(one) for one in self.house.declared.users} | self.by_user
        login = login_in(self.house.server.management_url)
        wanted = objects_of(
            self.house.declared, Access(users, f"amqp://{self.house.address}", login)
        )
        found = await self.house.found()
        await apply(self.house.management, wanted, found, difference(wanted, found))
        lacking = await federation_status.complete(self.house.management, self.house.declared, 20)
        assert not lacking


async def _lets_in(url: str, vhost: str) -> bool:
    try:
        async with await aio_pika.connect(f"{url}/{vhost}", timeout=10):
            return True
    except aio_pika.exceptions.AMQPConnectionError:
        return False


async def test_passwords_of_all_users_change_under_load(house: House, place: Place) -> None:
    """The file first and the broker after it, and the other way round; every connection is closed
    in between, so that what comes back has to know the new password.
    """
    passwords = Passwords(house)
    async with place.pool.connection() as connection:
        await enroll(connection, "relay")
    sold, stop = 0, asyncio.Event()

    async def sell() -> None:
        nonlocal sold
        for number in itertools.count(1):
            if stop.is_set():
                return
            await place.append(f"merchant-m{number}", _sale(number))
            sold = number
            await asyncio.sleep(0.02)  # the pace of the load

    async with Publisher(lambda: passwords.url_of("relay"), "commerce") as publisher:
        relay = Subscriber(place.pool, Relay(publisher, HANDRAIL.routing), poll=0.005, lease=1.0)
        consumer = Consuming(
            place.pool,
            finance.CONSUMER,
            HANDRAIL.codec,
            lambda: f"{passwords.url_of('finance')}/finance",
        )
        try:
            async with running(relay, consumer):
                selling = asyncio.create_task(sell())
                await until(lambda: _booked(place, 5))
                for turn, broker_first in enumerate((True, False)):
                    before = dict(passwords.by_user)
                    newer = {one: f"{one}/turn {turn}" for one in USERS}
                    if broker_first:
                        # What is connected stays so; what knows the old password comes no more.
                        await Passwords(house, before | newer).tell_the_broker()
                        await _closed(house)
                        passwords.by_user |= newer
                    else:
                        passwords.by_user |= newer
                        await _closed(house)
                        await passwords.tell_the_broker()
                    await passwords.tell_the_broker()
                    await _closed(house)
                    seen = sold
                    await until(partial(_booked, place, seen + 5), seconds=60)
                    old = Passwords(house, before)
                    assert not await _lets_in(old.url_of("relay"), "commerce")
                    assert not await _lets_in(old.url_of("finance"), "finance")
                stop.set()
                await selling
                await until(lambda: _booked(place, sold), seconds=60)
        finally:
            await house.apply()
    assert publisher.counted.returned == 0
    assert await place.parked("finance") == []
    lines = await place.value("SELECT count(*) FROM ledger_lines")
    each = await place.value("SELECT count(*) FROM ledger_lines WHERE party = 'm1'")
    assert each > 0
    assert lines % sold == 0, "every event has as many lines: none was handled twice"


async def _closed(house: House) -> None:
    for user in USERS:
        await house.ask("DELETE", f"connections/username/{user}")


def _sale(number: int) -> PayableAccrued:
    return PayableAccrued(
        merchant=MerchantId(f"m{number}"),
        order=OrderId(f"o{number}"),
        gross=eur(100),
        fee=eur(3),
        balance=eur(97),
    )


async def _booked(place: Place, events: int) -> bool:
    return bool(await place.value("SELECT count(DISTINCT event) FROM ledger_lines") >= events)

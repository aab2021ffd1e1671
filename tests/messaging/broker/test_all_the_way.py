"""From the store to finance's ledger: relay, exchange, federation, queue, consumer; each its own
user with no more rights than it has in earnest, and the link between them down for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from consumers import finance
from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import PayableAccrued
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.relay.publisher import Publisher
from handrail.messaging.relay.relay import Relay
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.messaging.broker.house import House
from tests.messaging.consumers.lines import running
from tests.messaging.consumers.place import Place, a_place
from tests.projections.world import until

pytestmark = pytest.mark.thorough

MERCHANTS = 10
FEE, NET = 3, 97


@pytest.fixture
async def place(database: str) -> AsyncIterator[Place]:
    async with a_place(database) as one:
        yield one


async def test_what_happened_while_the_link_was_down_is_in_the_ledger_once(
    house: House, place: Place
) -> None:
    await _outage(house, place, seconds=1, rounds=5)


@pytest.mark.journey
async def test_after_a_minute_without_the_link_all_of_it_is_in_the_ledger_once(
    house: House, place: Place
) -> None:
    await _outage(house, place, seconds=60, rounds=120)


async def _outage(house: House, place: Place, *, seconds: float, rounds: int) -> None:
    async with place.pool.connection() as connection:
        await enroll(connection, "relay")
    async with Publisher(house.url_of("relay"), "commerce") as publisher:
        relay = Subscriber(place.pool, Relay(publisher, HANDRAIL.routing), poll=0.005, lease=1.0)
        consumer = Consuming(
            place.pool, finance.CONSUMER, HANDRAIL.codec, f"{house.url_of('finance')}/finance"
        )
        async with running(relay, consumer):
            await _sell(place, 1)
            await until(lambda: _booked(place, MERCHANTS))

            await house.close_the_way()
            began = time.monotonic()
            for number in range(2, 2 + rounds):
                await _sell(place, number)
                next_ = began + seconds * (number - 1) / rounds
                await asyncio.sleep(
                    max(0, next_ - time.monotonic())
                )  # the load goes on for so long
            assert (await house.finance()).link != "running"
            assert await _booked(place, MERCHANTS)

            await house.apply()
            await _sell(place, 2 + rounds)
            await until(lambda: _booked(place, MERCHANTS * (2 + rounds)), seconds=60)

    assert publisher.counted.returned == 0
    assert await place.parked("finance") == []
    for merchant in range(MERCHANTS):
        owed = await place.value(
            "SELECT -sum(amount) FROM ledger_lines WHERE account = 'payable' AND party = :merchant",
            merchant=f"m{merchant}",
        )
        assert owed == NET * (2 + rounds)


async def _sell(place: Place, number: int) -> None:
    for merchant in range(MERCHANTS):
        await place.append(
            f"merchant-m{merchant}",
            PayableAccrued(
                merchant=MerchantId(f"m{merchant}"),
                order=OrderId(f"o{merchant}-{number}"),
                gross=eur(FEE + NET),
                fee=eur(FEE),
                balance=eur(NET * number),
            ),
        )


async def _booked(place: Place, events: int) -> bool:
    """So many events had their effect: what is in the ledger, not what the inbox says."""
    return bool(await place.value("SELECT count(DISTINCT event) FROM ledger_lines") == events)

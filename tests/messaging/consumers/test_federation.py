"""A consumer in another virtual host: what is published before its binding arrives is not lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import aio_pika
import httpx
import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.store import Recorded
from handrail.messaging.cloud_events import message_of
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.consumers.store_consumer import begin
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import FAST, all_settled, running
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until

UPSTREAM, DOWNSTREAM, EXCHANGE = "upstream-of-notes", "downstream-of-notes", "happenings"


class Domains:
    """Two virtual hosts, the exchange of one to be federated into the other."""

    def __init__(self, server: EmbeddedRabbitMQ, http: httpx.AsyncClient) -> None:
        self._server = server
        self._http = http
        self._sent = 0
        self.url = f"{server.url}/{DOWNSTREAM}"

    async def put(self, path: str, **body: object) -> None:
        (await self._http.put(f"/api/{path}", json=body)).raise_for_status()

    async def set_up(self, queue: str) -> None:
        for host in (UPSTREAM, DOWNSTREAM):
            await self.put(f"vhosts/{host}")
            await self.put(f"exchanges/{host}/{EXCHANGE}", type="topic", durable=True)
        arguments = {"x-queue-type": "quorum", "x-single-active-consumer": True}
        await self.put(f"queues/{DOWNSTREAM}/{queue}", durable=True, arguments=arguments)
        bound = await self._http.post(
            f"/api/bindings/{DOWNSTREAM}/e/{EXCHANGE}/q/{queue}", json={"routing_key": "#"}
        )
        bound.raise_for_status()

    async def federate(self) -> None:
        uri = f"{self._server.url}/{quote(UPSTREAM, safe='')}"
        await self.put(
            f"parameters/federation-upstream/{DOWNSTREAM}/home",
            value={"uri": uri, "reconnect-delay": 1},
        )
        await self.put(
            f"policies/{DOWNSTREAM}/federated",
            pattern=f"^{EXCHANGE}$",
            definition={"federation-upstream-set": "all"},
            **{"apply-to": "exchanges"},
        )

    async def is_linked(self) -> bool:
        """The binding has arrived upstream: before, a link may be there and carry nothing."""
        found = (
            await self._http.get(f"/api/exchanges/{UPSTREAM}/{EXCHANGE}/bindings/source")
        ).json()
        return bool(found)

    async def publish(self, place: Place) -> None:
        """What is stored and was not published yet; where nobody wants it, it is lost."""
        rows = await place.sql(
            "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
            " FROM events WHERE position > :sent ORDER BY position",
            sent=self._sent,
        )
        async with await aio_pika.connect(f"{self._server.url}/{UPSTREAM}") as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(EXCHANGE)
            for recorded in (Recorded(*row) for row in rows):
                headers, body, content_type = message_of(recorded, HANDRAIL.routing)
                message = aio_pika.Message(body, headers=dict(headers), content_type=content_type)
                await exchange.publish(message, "ordering", mandatory=False)
                self._sent = recorded.position


@pytest.fixture
async def domains(broker: EmbeddedRabbitMQ) -> AsyncIterator[Domains]:
    async with httpx.AsyncClient(base_url=broker.management_url, trust_env=False) as http:
        yield Domains(broker, http)
        for host in (DOWNSTREAM, UPSTREAM):
            await http.delete(f"/api/vhosts/{host}")


async def test_what_was_published_before_the_binding_arrived_comes_from_the_store(
    place: Place, notebook: Notebook, domains: Domains
) -> None:
    await domains.set_up(notebook.queue)
    await place.confirms(*"abab")
    await domains.publish(place)  # long before anybody wants it
    await begin(place.pool, notebook.consumer, HANDRAIL.codec, poll=0.005, lease=1.0)
    assert await place.noted_of("a") == ids("a", 1, 2)

    process = Consuming(place.pool, notebook.consumer, HANDRAIL.codec, domains.url, **FAST)
    settling = Settling(
        place.pool, notebook.consumer, HANDRAIL.codec, patience=0.5, poll=0.01, lease=1.0
    )
    async with running(process, settling):
        await place.confirms(*"ab")
        await domains.publish(place)  # in the gap: there is a queue, and no link yet
        await domains.federate()
        await until(domains.is_linked)
        await all_settled(place)
        missed = settling.late
        for _ in range(5):
            await place.confirms(*"ab")
        await domains.publish(place)
        await all_settled(place)

    assert missed == 2
    assert process.counted.handled >= 1
    assert await place.noted_of("a") == ids("a", *range(1, 9))
    assert await place.noted_of("b") == ids("b", *range(1, 9))

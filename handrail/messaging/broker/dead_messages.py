"""Messages in the queues `dead` and `unrouted`: look at them, redrive, edit, discard.

To look takes nothing away: messages are fetched without an acknowledgement, and the broker puts
them back when the channel is closed. A message is taken away only after its original was stored in
`dead_message_acts` and, where it is redriven, the broker has confirmed the copy in every queue that
it goes to. A process that ends in between leaves a duplicate with the same id, and never a loss:
the inbox of consumers absorbs it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import aiormq
import orjson
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pamqp.commands import Basic
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.kernel import Attribution
from handrail.messaging.broker import dead_message_acts
from handrail.messaging.broker.dead_message import (
    LARGEST_EDIT,
    LOOKED,
    MOST,
    Acted,
    DeadMessage,
    DeadQueue,
    Looked,
    NotFound,
    NotToBeEdited,
    NoWayBack,
)
from handrail.messaging.broker.dead_message_acts import ActKind, Original
from handrail.messaging.broker.edited_body import unsealed
from handrail.messaging.broker.form_bindings import bound
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from handrail.messaging.broker.topology import DEAD, UNROUTED, Topology

Connected = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""A connection to the store that commits every statement by itself."""

_BYTES: Final = 64 * 1024 * 1024
"""Bytes of messages that are fetched at once, and at least one message."""
_AT_ONCE: Final = 100
_WITHIN: Final = 10.0
"""Seconds for the broker to answer."""
_HEARTBEAT: Final = 10
_TRIES: Final = "x-delivery-count"
"""It counts how often a message was looked at."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_LONGEST_NUMBER: Final = 20
_OF_THE_BROKER: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count")
"""Headers that a broker adds to a dead message, by what they begin with."""


@dataclass(frozen=True)
class _Fetched:
    delivered: DeliveredMessage
    message: DeadMessage


@dataclass(frozen=True)
class _Wish:
    """What is to be done to the messages with these `ids`; without, to the oldest."""

    act: ActKind
    vhost: str
    queue: DeadQueue
    by: Attribution
    ids: Sequence[str]
    body: bytes | None = None

    def original(self, message: DeadMessage, queues: Sequence[str]) -> Original:
        return Original(
            act=self.act,
            vhost=self.vhost,
            queue=self.queue,
            message=message.id,
            message_id=message.message_id,
            exchange=message.exchange,
            routing_key=message.routing_key,
            headers=message.headers,
            body=message.body,
            edited=self.body,
            sent_to=list(queues),
        )


@dataclass(frozen=True)
class _Doing:
    """The messages of a wish that are done, and why others are left."""

    done: dict[str, None]
    left: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class DeadMessages:
    """`url` answers the broker's address with a login that may read both queues and publish to the
    default exchange; `query` names its certificates. `management` answers the management API.
    """

    url: Callable[[], str]
    management: Callable[[], Management]
    topology: Topology
    connected: Connected
    query: str = ""

    async def look(
        self, vhost: str, queue: DeadQueue, *, after: int = 0, limit: int = 50
    ) -> Looked:
        """In the order of their events, behind the first `after`, of 200. Raises NotFound,
        BrokerSaidNo.
        """
        async with self._channel(vhost, queue) as channel:
            total = await _count(channel, queue)
            found = await _fetched(channel, queue, LOOKED)
        return Looked([one.message for one in found[after : after + limit]], total)

    async def one(self, vhost: str, queue: DeadQueue, id_: str) -> DeadMessage:
        """Of 1,000. Raises NotFound, BrokerSaidNo."""
        async with self._channel(vhost, queue) as channel:
            for one in await _fetched(channel, queue, MOST):
                if one.message.id == id_:
                    return one.message
        raise NotFound(f"{id_} is not among {MOST} messages of {vhost}/{queue}")

    async def redrive(
        self, vhost: str, queue: DeadQueue, by: Attribution, *, ids: Sequence[str] = ()
    ) -> Acted:
        """Put messages into the queues that they were for; without `ids` at most 1,000, in the
        order of their events. Raises NotFound, BrokerSaidNo.
        """
        return await self._act(_Wish("redrive", vhost, queue, by, ids))

    async def edit(
        self, vhost: str, queue: DeadQueue, by: Attribution, id_: str, body: bytes
    ) -> Acted:
        """Redrive a message with another body; its id, headers and the original stay. Raises
        NotFound, NotToBeEdited, BrokerSaidNo.
        """
        if len(body) > LARGEST_EDIT:
            raise NotToBeEdited(f"{len(body)} bytes: a body that is edited has {LARGEST_EDIT}")
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as wrong:
            raise NotToBeEdited(f"it is no JSON: {wrong}") from None
        return await self._act(_Wish("edit", vhost, queue, by, [id_], body))

    async def discard(
        self, vhost: str, queue: DeadQueue, by: Attribution, ids: Sequence[str]
    ) -> Acted:
        """Take messages away; what they were stays stored. Raises NotFound, BrokerSaidNo."""
        return await self._act(_Wish("discard", vhost, queue, by, ids))

    async def _act(self, wish: _Wish) -> Acted:
        ways = None if wish.act == "discard" else await self._ways(wish.vhost, wish.queue)
        wanted, doing = set(wish.ids), _Doing({}, {})
        async with self._channel(wish.vhost, wish.queue) as channel:
            there = await _fetched(channel, wish.queue, MOST)
            meant = [one for one in there if not wanted or one.message.id in wanted]
            for at in range(0, len(meant), _AT_ONCE):
                await self._settle(channel, wish, meant[at : at + _AT_ONCE], ways, doing)
        for id_ in wanted - {*doing.done, *doing.left}:
            doing.left[id_] = "it is not there, or another request holds it: look again"
        async with self._channel(wish.vhost, wish.queue) as channel:
            return Acted(list(doing.done), doing.left, await _count(channel, wish.queue))

    async def _settle(
        self,
        channel: Channel,
        wish: _Wish,
        batch: Sequence[_Fetched],
        ways: _Ways | None,
        doing: _Doing,
    ) -> None:
        """Store the originals, publish the copies, and only then take the originals away."""
        going: list[tuple[_Fetched, Sequence[str]]] = []
        for one in batch:
            if wish.body and (field := unsealed(one.message.body, wish.body)):
                doing.left[one.message.id] = (
                    f"{field} is personal: leave its sealed text as it is, or the field out"
                )
                continue
            try:
                going.append((one, ways.of(one.message) if ways else ()))
            except NoWayBack as why:
                doing.left[one.message.id] = str(why)
        originals = [wish.original(one.message, queues) for one, queues in going]
        async with self.connected() as connection:
            kept = await dead_message_acts.keep(connection, originals, wish.by)
        settled: list[int] = []
        for (one, queues), row in zip(going, kept, strict=True):
            if why_not := await _copied(channel, one, queues, wish.body):
                doing.left[one.message.id] = why_not
                continue
            await _take_away(channel, one)
            doing.done[one.message.id] = None
            settled.append(row)
        async with self.connected() as connection:
            await dead_message_acts.settle(connection, settled)

    async def _ways(self, vhost: str, queue: DeadQueue) -> _Ways:
        """Where messages of the queue may go: what is bound now, and which queues there are."""
        self._known(vhost, queue)
        async with self.management() as management:
            bindings = [one for one in await management.bindings() if one["vhost"] == vhost]
            queues = frozenset(await management.queues(vhost)) - {DEAD, UNROUTED}
        return _Ways(vhost, queue, queues, bindings)

    def _known(self, vhost: str, queue: str) -> None:
        if queue not in {DEAD, UNROUTED} or vhost not in {
            one.name for one in self.topology.hosts if one.upstreams
        }:
            raise NotFound(f"there is no queue {vhost}/{queue} of dead or unrouted messages")

    @asynccontextmanager
    async def _channel(self, vhost: str, queue: str) -> AsyncIterator[Channel]:
        """What was fetched on it and not acknowledged is in the queue again at its end."""
        self._known(vhost, queue)
        address = f"{self.url()}/{quote(vhost, safe='')}?heartbeat={_HEARTBEAT}&name=handrail-dead"
        address += f"&{self.query}" if self.query else ""
        connection = aiormq.Connection(address)
        try:
            async with asyncio.timeout(_WITHIN):
                await connection.connect()
                channel = await connection.channel(on_return_raises=True)
            assert isinstance(channel, Channel)
            yield channel
        except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError) as error:
            raise BrokerSaidNo(
                f"the broker does not do it at {vhost}/{queue}: {error!r}"
            ) from error
        finally:
            try:
                async with asyncio.timeout(_WITHIN):
                    await connection.close()
            except Exception:  # noqa: BLE001, S110  # it is gone either way, and so are its messages
                pass


@dataclass(frozen=True)
class _Ways:
    vhost: str
    queue: DeadQueue
    queues: frozenset[str]
    bindings: Sequence[Mapping[str, Any]]

    def of(self, message: DeadMessage) -> Sequence[str]:
        """The queues that it goes to. Raises NoWayBack."""
        if self.queue == DEAD:
            if message.queue not in self.queues:
                said = message.queue or "no queue that it says"
                raise NoWayBack(
                    f"it comes from {said}, which is not there: topology apply makes it"
                )
            return [message.queue]
        found = sorted(
            {
                one["destination"]
                for one in self.bindings
                if one["source"] == message.exchange
                and one["destination"] in self.queues
                and bound([one["routing_key"]], message.routing_key)
            }
        )
        if not found:
            raise NoWayBack(
                f"no queue of {self.vhost} is bound to {message.routing_key} at"
                f" {message.exchange}: have a consumer want it, and `handrail topology apply`"
            )
        return found


async def _count(channel: Channel, queue: str) -> int:
    """Without those that another channel has fetched."""
    found = await channel.queue_declare(queue, passive=True, timeout=_WITHIN)
    return found.message_count or 0


async def _fetched(channel: Channel, queue: str, most: int) -> Sequence[_Fetched]:
    """In the order of their events, as far as they say it. They are back once the channel ends."""
    found: list[_Fetched] = []
    size = 0
    while len(found) < most and size < _BYTES:
        delivered = await channel.basic_get(queue, timeout=_WITHIN)
        if delivered.delivery_tag is None:
            break
        found.append(_Fetched(delivered, _message_of(delivered)))
        size += len(delivered.body)
    return sorted(found, key=lambda one: _sequence(one.message))


def _sequence(message: DeadMessage) -> tuple[int, datetime, str]:
    position = str(message.headers.get("ce-position", ""))
    numbered = int(position) if position.isdecimal() and len(position) < _LONGEST_NUMBER else 0
    return numbered, message.since or _NEVER, message.message_id


async def _copied(
    channel: Channel, one: _Fetched, queues: Sequence[str], body: bytes | None
) -> str:
    """Why a copy is not in one of the queues; empty where the broker has confirmed all of them."""
    kept = one.delivered.header.properties
    properties = Basic.Properties(
        **{
            name: getattr(kept, name)
            for name in (
                "content_type",
                "content_encoding",
                "message_id",
                "timestamp",
                "message_type",
                "correlation_id",
                "app_id",
            )
        },
        headers=own_headers(kept.headers or {}),
        delivery_mode=2,
    )
    for queue in queues:
        try:
            await channel.basic_publish(
                one.delivered.body if body is None else body,
                exchange="",
                routing_key=queue,
                properties=properties,
                mandatory=True,
                timeout=_WITHIN,
            )
        except PublishError:
            return f"there is no queue {queue} any more"
        except DeliveryError:
            return f"{queue} did not take it: is it full?"
    return ""


async def _take_away(channel: Channel, one: _Fetched) -> None:
    """From here on the original is in the store alone."""
    assert one.delivered.delivery_tag is not None
    await channel.basic_ack(one.delivered.delivery_tag)


def own_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that the broker added when the message died."""
    return {name: one for name, one in headers.items() if not name.startswith(_OF_THE_BROKER)}


def _message_of(delivered: DeliveredMessage) -> DeadMessage:
    properties, delivery = delivered.header.properties, delivered.delivery
    assert isinstance(delivery, Basic.GetOk)
    headers: Mapping[str, Any] = properties.headers or {}
    deaths = headers.get("x-death") or [{}]
    first = deaths[-1] if isinstance(deaths[-1], dict) else {}
    since = deaths[0].get("time") if isinstance(deaths[0], dict) else None
    own = own_headers(headers)
    exchange, key = str(delivery.exchange), str(delivery.routing_key)
    queue = str(headers.get("x-first-death-queue") or first.get("queue") or "")
    if queue and first:  # what was published is what it died of first
        exchange = str(first.get("exchange", exchange))
        key = str((first.get("routing-keys") or [key])[0])
    digest = hashlib.sha256(
        b"\0".join(
            (
                str(properties.message_id or "").encode(),
                queue.encode(),
                exchange.encode(),
                key.encode(),
                orjson.dumps(_readable(own), option=orjson.OPT_SORT_KEYS),
                delivered.body,
            )
        )
    ).hexdigest()
    return DeadMessage(
        id=digest[:32],
        message_id=str(properties.message_id or own.get("ce-id") or ""),
        exchange=exchange,
        routing_key=key,
        queue=queue,
        cause=str(headers.get("x-first-death-reason") or first.get("reason") or "no queue bound"),
        since=_aware(since) or _aware(properties.timestamp),
        content_type=str(properties.content_type or ""),
        headers=_readable({name: one for name, one in headers.items() if name != _TRIES}),
        body=delivered.body,
    )


def _readable(value: Any) -> Any:
    """As JSON has it: what it has no word for is a text. A zero byte no text column takes."""
    if isinstance(value, dict):
        return {str(name)[:255].replace("\0", "␀"): _readable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(one) for one in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace").replace("\0", "␀")
    if isinstance(value, bool | int | float) or value is None:
        return value
    return str(value).replace("\0", "␀")


def _aware(at: object) -> datetime | None:
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)

"""Publishing at the broker so that nothing is taken for published that is not.

Each message is persistent and mandatory, and done only when the broker has confirmed it and has not
returned it. A return names its message by `message_id` alone, so that of one event may be on its
way once on each channel: every exchange has a channel of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import quote

import aiormq
import structlog
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ConnectionNotAllowed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from handrail.eventstore.store import Recorded
from handrail.evolution.forms import Form
from handrail.messaging.cloud_events import Unpublishable, message_of
from handrail.messaging.envelope import id_of
from handrail.messaging.relay.amqp_properties import Persistent
from handrail.messaging.relay.routing import Routing
from handrail.tracing.spans import TRACEPARENT

_log = structlog.get_logger(__name__)

_HEARTBEAT: Final = 10  # seconds; a broker that is silent for three of them is gone
_CONNECTS_WITHIN: Final = 10  # seconds


class _Connection(aiormq.Connection):
    FRAME_BUFFER_SIZE = 256
    """The library's ten make those who publish wait for each other more than for the broker."""


class NotPublished(Exception):
    """Nobody knows whether the broker has the message, or it said that it has not: send it again,
    once what is said here has passed.
    """


@dataclass
class Counted:
    """What a process did since it began."""

    published: int = 0
    """Messages sent, however they ended."""
    confirmed: int = 0
    returned: int = 0
    parked: int = 0
    connected: int = 0
    """How many times the broker was connected to; all but the first are reconnections."""
    unconverted: int = 0
    """Events not published in a form that a queue is bound to: there is no way to it."""


@dataclass(frozen=True)
class Message:
    """An event, ready to be sent to any of its exchanges."""

    key: str
    body: bytes
    properties: Persistent
    traceparent: str = ""
    """The trace context that its event is kept with."""

    @classmethod
    def of(cls, recorded: Recorded, routing: Routing, stored: Form | None = None) -> Message:
        """`stored` is the form in the store, where this is a copy in another.

        Raises UnknownMessage, Unpublishable.
        """
        headers, body, content_type = message_of(recorded, routing, stored)
        id_ = id_of(recorded.stream, recorded.version)
        try:
            properties = Persistent(content_type, headers, id_, recorded.recorded_at)
        except ValueError as error:
            raise Unpublishable(str(error)) from None
        key = routing.routing_key(recorded.type, recorded.schema)
        return cls(key, body, properties, str(recorded.metadata.get(TRACEPARENT, "")))


@dataclass
class Publisher:
    """One connection to the virtual host where events are published, made when it is needed.

    `url` is that of the broker, without a virtual host, or a function that is asked for it before
    each connection; `home` is the virtual host. `certificates` is the query that names them.
    """

    url: str | Callable[[], str]
    home: str
    certificates: str = ""
    name: str = "handrail-relay"
    counted: Counted = field(default_factory=Counted)
    _connection: aiormq.Connection | None = None
    _channels: dict[str, Channel] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def publish(self, exchange: str, message: Message) -> str:
        """Answers why nobody would get it, and nothing where the broker has it.

        Raises NotPublished.
        """
        try:
            channel = await self._channel(exchange)
            self.counted.published += 1
            await channel.basic_publish(
                message.body,
                exchange=exchange,
                routing_key=message.key,
                properties=message.properties,
                mandatory=True,
                wait=False,
            )
        except PublishError as returned:
            self.counted.returned += 1
            return f"unroutable: {returned.args[0]} for {message.key} at exchange {exchange}"
        except DeliveryError:
            raise NotPublished(
                f"exchange {exchange}: the broker did not take it; is a queue behind it full?"
            ) from None
        except asyncio.CancelledError:
            # So it is called, too, when the connection was lost: then nobody cancelled this task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise NotPublished(f"exchange {exchange}: the connection was lost") from None
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            raise NotPublished(f"exchange {exchange}: {error!r}{_hint(error)}") from error
        self.counted.confirmed += 1
        return ""

    async def blocked(self) -> bool:
        """Whether the broker takes nothing for now, for want of memory or disk space."""
        if self._connection is None or not self._connection.is_opened:
            return False
        try:
            async with asyncio.timeout(0.01):
                await self._connection.ready()
        except TimeoutError:
            return True
        return False

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_opened

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._channels = {}
        if connection is not None:
            with contextlib.suppress(Exception):  # it is gone either way
                await connection.close()

    async def _channel(self, exchange: str) -> Channel:
        channel = self._channels.get(exchange)
        if channel is not None and not channel.is_closed and self.is_connected:
            return channel
        async with self._opening:
            if self._connection is None or not self._connection.is_opened:
                await self.close()
                self._connection = await self._connect()
            channel = self._channels.get(exchange)
            if channel is None or channel.is_closed:
                opened = await self._connection.channel(on_return_raises=True)
                channel = self._channels[exchange] = cast("Channel", opened)
            return channel

    async def _connect(self) -> aiormq.Connection:
        vhost = quote(self.home, safe="")
        url = self.url() if callable(self.url) else self.url
        query = f"heartbeat={_HEARTBEAT}&name={self.name}"
        if self.certificates:
            query = f"{query}&{self.certificates}"
        async with asyncio.timeout(_CONNECTS_WITHIN):
            connection = _Connection(f"{url}/{vhost}?{query}")
            await connection.connect()
        self.counted.connected += 1
        _log.info("connected to the broker", virtual_host=self.home)
        return connection


def _hint(error: BaseException) -> str:
    """What to do, where it takes a person."""
    if isinstance(error, ChannelNotFoundEntity | ConnectionNotAllowed):
        return "; `handrail topology apply` makes what is missing"
    if isinstance(error, ChannelAccessRefused | ProbableAuthenticationError):
        return "; `handrail topology apply` gives users their passwords and rights"
    return ""

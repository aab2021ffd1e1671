"""The relay: publishes every event to its exchanges at the broker, in the order of its stream.

The next event of a stream goes to an exchange only when the broker has confirmed the one before;
those of other streams, and to other exchanges, are on their way at the same time. The checkpoint
moves once each event of a page is confirmed or parked. A process that dies before publishes the
page again, so an event may come twice, with the same id; none is left out.
`docs/decisions/0013-the-relay.md`.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from psycopg import Rollback

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.codec import Codec, UnknownMessage
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.unread_forms import check_reads
from handrail.messaging.broker.plan import UNKNOWN
from handrail.messaging.cloud_events import Unpublishable
from handrail.messaging.envelope import id_of
from handrail.messaging.relay import parked_messages
from handrail.messaging.relay.bound_forms import BoundForms
from handrail.messaging.relay.parked_messages import BEHIND, RELAY, Parked, Place
from handrail.messaging.relay.publisher import Message, Publisher
from handrail.messaging.relay.routing import Routing
from handrail.tracing import spans

_log = structlog.get_logger(__name__)


@dataclass
class Work:
    """What a page means: the messages of each place in order, and what cannot be sent now."""

    chains: Mapping[Place, list[tuple[int, Message]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By exchange and stream; each message with the position of its event. What has the position
    of the message before it is the same event in another form.
    """
    parked: list[Parked] = field(default_factory=list)
    behind: set[Place] = field(default_factory=set)
    """Where events were waiting already, so that those of this page have to wait too."""


class Relay:
    """Handles the pages of a Follower. Several processes share the shards of the feed.

    `codec` tells which versions are of newer code; without it every version of a known name is
    published.
    """

    def __init__(
        self,
        publisher: Publisher,
        routing: Routing,
        codec: Codec | None = None,
        *,
        forms: BoundForms | None = None,
    ) -> None:
        self._publisher = publisher
        self._routing = routing
        self._codec = codec
        self._forms = forms
        self._confirmed: dict[str, set[tuple[int, str]]] = defaultdict(set)

    @property
    def kind(self) -> str:
        return RELAY

    async def followers(self, connection: Connection) -> Sequence[str]:
        """Enrolled, also where `handrail relay forget` came between this process's beginning and
        its first lease.
        """
        await enroll(connection, RELAY)
        return [RELAY]

    def reads(self, type_: str, schema: int) -> bool:
        """Data are published as they are stored; copies for older consumers take the codec."""
        known = type_ in self._routing.contexts
        return known and (self._codec is None or self._codec.reads(type_, schema))

    def wants(self, _: str, __: Recorded) -> bool:
        return True

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        """Raises NotPublished while the broker is away: what it has confirmed of the page by then
        is not sent again by this process.
        """
        taken = time.time_ns()
        while True:
            streams = {event.stream for event in page.events}
            waiting = await parked_messages.places(connection, self._routing.exchanges, streams)
            work = partition(page.events, waiting, self._routing, self._codec, forms=self._forms)
            parked = [*work.parked, *await self._publish(work.chains)]
            moved: Sequence[Checkpoint] = []
            async with connection.transaction():
                answer = await checkpoints.move(connection, group, page.next, lease)
                now = checkpoints.moved(answer, group, page.next)
                if work.behind and not await parked_messages.still_wait(connection, work.behind):
                    raise Rollback  # worked off meanwhile: what was to wait behind it goes out now
                if parked:
                    await parked_messages.park(connection, parked)
                moved = now
            if moved:
                self._note(parked)
                _trace(page.events, taken)
                return Handled(list(moved))

    async def _publish(
        self, chains: Mapping[Place, Sequence[tuple[int, Message]]]
    ) -> Sequence[Parked]:
        ends = await asyncio.gather(
            *(self._publish_in_order(place, chain) for place, chain in chains.items()),
            return_exceptions=True,
        )
        parked: list[Parked] = []
        for end in ends:
            if isinstance(end, BaseException):
                raise end
            parked += end
        return parked

    async def _publish_in_order(
        self, place: Place, chain: Sequence[tuple[int, Message]]
    ) -> Sequence[Parked]:
        """Answers what is to be parked: the first that was returned, and all behind it."""
        exchange, stream = place
        confirmed = self._confirmed[exchange]
        stored = 0
        for number, (position, message) in enumerate(chain):
            copy, stored = position == stored, position
            if (position, message.key) in confirmed:
                continue
            with spans.publishing(exchange, message.traceparent, message.properties.message_id):
                cause = await self._publisher.publish(exchange, message)
            if cause and not copy:  # no queue is bound to the copy any more: it misses nothing
                later = dict.fromkeys(one for one, _ in chain[number + 1 :] if one != position)
                behind = [Parked(stream, one, BEHIND, exchange) for one in later]
                return [Parked(stream, position, cause, exchange), *behind]
            confirmed.add((position, message.key))
        return []

    def _note(self, parked: Sequence[Parked]) -> None:
        self._confirmed.clear()
        self._publisher.counted.parked += len(parked)
        for one in parked:
            if one.cause != BEHIND:
                _log.error(
                    "event parked",
                    exchange=one.exchange,
                    stream=one.stream,
                    position=one.position,
                    cause=one.cause,
                )


def _trace(events: Sequence[Recorded], taken: int) -> None:
    if spans.is_on():
        for event in events:
            named = id_of(event.stream, event.version)
            spans.waited_in_outbox(RELAY, event.metadata, event.recorded_at, named, taken)


def partition(
    events: Sequence[Recorded],
    waiting: set[Place],
    routing: Routing,
    codec: Codec | None = None,
    *,
    forms: BoundForms | None = None,
) -> Work:
    """`waiting` is where earlier events wait. Events of newer code come only where an operator
    decided that they are parked.
    """
    work = Work()
    stopped: set[Place] = set()
    for event in events:
        unknown = (UNKNOWN, event.stream)
        message: Message | None = None
        cause = ""
        try:
            exchanges = routing.exchanges_of(event.type)
            if codec:
                check_reads(codec, event.type, event.schema)
            if unknown in waiting or unknown in stopped:
                exchanges = (UNKNOWN,)
            else:
                message = Message.of(event, routing)
        except UnknownMessage:
            exchanges = (UNKNOWN,)
            cause = f"{event.type} v{event.schema} is unknown: deploy the relay that knows it"
        except Unpublishable as error:
            cause = str(error)
        for exchange in exchanges:
            place = (exchange, event.stream)
            if place in waiting:
                work.behind.add(place)
            if message and place not in waiting and place not in stopped:
                work.chains[place].append((event.position, message))
                for copy in forms.copies(exchange, event) if forms else ():
                    work.chains[place].append((event.position, copy))
            else:
                behind = place in waiting or place in stopped
                stopped.add(place)
                work.parked.append(
                    Parked(event.stream, event.position, BEHIND if behind else cause, exchange)
                )
    return work

"""What a consumer is: the events another service wants, and what it does with each.

Three laws make that safe, whether a broker brings the events or the feed:

- `handle` does all it does through the connection it is given. It runs in the transaction that
  also notes the event in the inbox: both are kept, or neither, so an event has its effect once.
- Events of one stream come one after the other, in their order. Those of different streams come in
  any order, and at the same time: what they write must not depend on which of them was first.
- An event may come late all the same: one that the broker lost while a later one came through, one
  of a type that was added to `wants`, one of a rewind. So a sum counts each event once, which the
  inbox sees to; and what a later event overwrites carries the version it was made from
  (`newest.py`), so that an earlier one that comes late does not turn it back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property

from handrail.eventstore.pool import Connection
from handrail.kernel import Event
from handrail.messaging.envelope import Received

Handle = Callable[[Connection, Received], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """`handle` raises whatever it likes: a message it cannot handle waits, with all later ones of
    its stream, for a person to put right what is wrong.

    `repeated` says what it does to an event that it has handled and is made to handle again: an
    operator reads it before a rewind.

    `queue` is the queue's name in the virtual host `vhost`. Where it is `ordered` one process takes
    messages from it, and others stand by; otherwise all do, and two events of one stream may be
    handled at the same time by two of them.
    """

    name: str
    vhost: str
    queue: str
    wants: tuple[type[Event], ...]
    handle: Handle
    ordered: bool = True
    repeated: str = "whatever the handler does, it does once more"
    earlier: frozenset[str] = frozenset()
    """Earlier names of the events it wants; the App fills them in from its changes."""

    @cached_property
    def types(self) -> frozenset[str]:
        """The names under which the events it wants are stored and published."""
        return frozenset(want.__name__ for want in self.wants) | self.earlier

    async def take(self, connection: Connection, received: Received) -> None:
        """Handle a message: once, or, where it is an event that was split, once for each part that
        is wanted, in their order. Raises whatever `handle` raises.
        """
        for part in received.parts({one.__name__ for one in self.wants}):
            await self.handle(connection, part)

    @property
    def follower(self) -> str:
        """Its name among those who follow the feed."""
        return f"consumer/{self.name}"

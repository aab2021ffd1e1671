"""What somebody who follows the feed has to bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded


@dataclass
class Handled:
    moved: list[Checkpoint] = field(default_factory=list)
    """Where the checkpoints are now."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """The followers that could not go on, by name. They rest for a while, and then get the same
    events again; the others go on without them."""


class PageHandler(Protocol):
    """Handles pages for one follower, or for several that are read together."""

    @property
    def kind(self) -> str:
        """Processes of the same kind share the shards: they can do the same work."""

    async def followers(self, connection: Connection, /) -> Sequence[str]:
        """The names whose checkpoints this process can move at the moment."""

    def reads(self, type_: str, schema: int, /) -> bool:
        """Whether this process's code can read events of this type in this version."""

    def wants(self, follower: str, event: Recorded, /) -> bool:
        """Whether an event that it cannot read is for the follower, as far as can be told.

        Then the follower's shard waits before the event for a process whose code reads it. Where
        an operator decided otherwise, `handle` gets it and parks it.
        """

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        """Do what the events mean, and move the checkpoints of the group to `page.next`.

        `checkpoints.move`, in the transaction of the effect, makes it once in effect.
        Raises LostLease where somebody else has taken one of them, and then nothing may be kept;
        after any other error the follower rests and gets the same events again.
        """

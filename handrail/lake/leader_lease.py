"""One process writes to the lake at a time; others stand by.

Whoever has the checkpoint of the first shard may take those of the others: so two that begin at the
same moment never end up with half of them each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions.heartbeats import Owners

FOLLOWER: Final = "lake"


async def take(
    connection: Connection, owner: str, lease: timedelta, owners: Owners | None = None
) -> Sequence[Checkpoint] | None:
    """All checkpoints, where it is this process's turn. `owners` watches for signs of life of
    others from one call to the next.
    """
    owners = owners or Owners(owner, lease)
    for turn in (slice(0, 1), slice(1, None)):
        found = await owners.held(connection, [FOLLOWER])
        free = [one.checkpoint for one in found[turn] if one.free and one.owner != owner]
        if free:
            await checkpoints.claim(connection, owner, free, lease)
            found = await checkpoints.held(connection, [FOLLOWER])
        if any(one.owner != owner for one in found[turn]):
            return None
    return [one.checkpoint for one in found]

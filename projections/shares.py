"""Who reads which shards: everybody the same number, and a shard whole.

One page of the feed then serves all projections of the shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventstore.checkpoints import Checkpoint, Held


@dataclass(frozen=True)
class Plan:
    give_back: Sequence[Checkpoint]
    take: Sequence[Checkpoint]


def plan(everything: Sequence[Held], owner: str, workers: int) -> Plan:
    """What `owner`, one of `workers` that are alive, does for its fair share."""
    shards = {one.checkpoint.shard for one in everything}
    mine = sorted({one.checkpoint.shard for one in everything if one.owner == owner})
    others = {one.checkpoint.shard for one in everything if not one.free and one.owner != owner}
    free = {one.checkpoint.shard for one in everything if one.free} - set(mine)
    share = -(-len(shards) // max(workers, 1))
    kept = set(mine[:share])
    # A shard that somebody else reads in part is left to them while there is another one.
    kept |= set(sorted(free, key=lambda shard: (shard in others, shard))[: share - len(kept)])
    return Plan(
        give_back=[
            one.checkpoint
            for one in everything
            if one.owner == owner and one.checkpoint.shard not in kept
        ],
        take=[
            one.checkpoint
            for one in everything
            if one.free and one.owner != owner and one.checkpoint.shard in kept
        ],
    )

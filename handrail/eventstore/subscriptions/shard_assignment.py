"""Who reads which shards: everybody the same number, and a shard whole.

One page of the feed then serves all projections of the shard.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from handrail.eventstore.checkpoints import Checkpoint, Held


@dataclass(frozen=True)
class Plan:
    give_back: Sequence[Checkpoint]
    take: Sequence[Checkpoint]


def plan(everything: Sequence[Held], owner: str, peers: Collection[str]) -> Plan:
    """What `owner`, one of `peers` that are alive and can do the same, does for its fair share."""
    readers = assigned(everything, peers)
    mine = {
        one.checkpoint.key
        for one in everything
        if _reader(one, readers[one.checkpoint.shard], peers) == owner
    }
    return Plan(
        give_back=[
            one.checkpoint
            for one in everything
            if one.owner == owner and one.checkpoint.key not in mine
        ],
        take=[
            one.checkpoint
            for one in everything
            if one.free and one.owner != owner and one.checkpoint.key in mine
        ],
    )


def _reader(one: Held, fair: str, peers: Collection[str]) -> str | None:
    """Who reads a checkpoint: `fair`, but where that process left it to newer code another that
    did not; where all of them did, only those that can read what comes next, if there are any.

    So a process of old code does not take a shard back behind a newer one that lives, and goes on
    with it once that one is gone.
    """
    left = {gone.owner for gone in one.left}
    able = set(peers) - left or set(peers) - one.waits_for_others_than
    if fair in able:
        return fair
    if one.owner in able and not one.free:
        return one.owner
    return min(able, default=None)


def assigned(everything: Sequence[Held], peers: Collection[str]) -> Mapping[int, str]:
    """Who of the peers is to read each shard: who reads it already, as far as that is fair.

    All come to the same answer from the same checkpoints, so that nobody waits for a shard that
    another one leaves alone. Those who claim at the same moment may each get a part of a shard; the
    first by name keeps it.
    """
    readers: dict[int, set[str]] = defaultdict(set)
    for one in everything:
        parts = readers[one.checkpoint.shard]
        if not one.left:
            parts |= {peer for peer in peers if peer == one.owner and not one.free}
    share = -(-len(readers) // len(peers))
    load = Counter(dict.fromkeys(peers, 0))
    found: dict[int, str] = {}
    for shard, parts in sorted(readers.items()):
        if fit := [peer for peer in parts if load[peer] < share]:
            found[shard] = min(fit)
            load[found[shard]] += 1
    for shard in sorted(readers.keys() - found):
        found[shard] = min(peers, key=lambda peer: (load[peer], peer))
        load[found[shard]] += 1
    return found

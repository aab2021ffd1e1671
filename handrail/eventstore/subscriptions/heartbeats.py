"""Signs of life of the owners of leases, watched by this process's own clock.

The end of a lease is a moment of the database's clock. Where that was put back, a lease that was
renewed before ends as much later, and its owner, dead or not, would keep what it has for as long.
An owner that lives renews its lease several times within its length: the row changes. One whose
row stayed as it was for the length of a lease, on a clock that nobody puts back, is taken for dead.
A live owner that is taken for dead loses nothing but its turn: `revision` shuts it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Held
from handrail.eventstore.pool import Connection

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Sign:
    """What a row says of its owner, and how long the owner's leases are."""

    said: Hashable
    lease: timedelta


@dataclass
class SignsOfLife(Generic[Key]):
    """`clock` counts seconds, and never goes back."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[Key, tuple[Sign, float]] = field(default_factory=dict)

    def silent(self, signs: Mapping[Key, Sign]) -> set[Key]:
        """Those whose sign is the one it was for at least a lease. What is not among the signs is
        forgotten: each call brings all that are watched.
        """
        now = self.clock()
        self._seen = {
            key: self._seen[key]
            if key in self._seen and self._seen[key][0] == sign
            else (sign, now)
            for key, sign in signs.items()
        }
        return {
            key
            for key, (sign, since) in self._seen.items()
            if now - since >= sign.lease.total_seconds()
        }


class Owners:
    """Reads who has which checkpoints, for the process `owner`. An owner that never said how long
    its leases are is thought to have those of this process.
    """

    def __init__(
        self, owner: str, lease: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._owner = owner
        self._lease = lease
        self._signs: SignsOfLife[tuple[str, int]] = SignsOfLife(clock)

    async def held(self, connection: Connection, names: Sequence[str]) -> Sequence[Held]:
        """As `checkpoints.held`; what owners have that gave no sign of life is freed first."""
        everything = await checkpoints.held(connection, names)
        others = {
            one.checkpoint.key: one
            for one in everything
            if not one.free and one.owner not in {None, self._owner}
        }
        silent = self._signs.silent(
            {
                key: Sign(
                    (one.owner, one.checkpoint.revision, one.leased_until), one.lease or self._lease
                )
                for key, one in others.items()
            }
        )
        if not silent:
            return everything
        await checkpoints.give_up_for_dead(connection, [others[key] for key in silent])
        return [
            replace(one, owner=None, free=True) if one.checkpoint.key in silent else one
            for one in everything
        ]

"""Renews this process's sign of life and its leases of checkpoints, and takes its share of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from handrail.eventstore import checkpoints, newer_code_waits
from handrail.eventstore.checkpoints import Checkpoint, Held, LostLease
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.heartbeats import Owners, Sign, SignsOfLife
from handrail.eventstore.subscriptions.shard_assignment import plan


class Leases:
    """`kind` names what this process can work on: others of the same kind share it. `clock` counts
    seconds and never goes back.
    """

    def __init__(
        self, owner: str, kind: str, lease: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.owner = owner
        self.lease = lease
        self._kind = kind
        self._owners = Owners(owner, lease, clock)
        self._followers: SignsOfLife[str] = SignsOfLife(clock)

    async def renew(self, connection: Connection) -> None:
        """To be called several times a lease, also while a batch takes long."""
        async with connection.pipeline():
            await connection.execute(
                "INSERT INTO followers AS f (owner, serves, alive_until)"
                " VALUES (%s, %s, clock_timestamp() + %s) ON CONFLICT (owner) DO UPDATE"
                " SET alive_until = excluded.alive_until",
                (self.owner, self._kind, self.lease),
            )
            await connection.execute(
                "DELETE FROM followers WHERE alive_until < clock_timestamp() - interval '1 hour'"
            )
            await checkpoints.renew(connection, self.owner, self.lease)

    async def balance(self, connection: Connection, names: Sequence[str]) -> Sequence[Checkpoint]:
        """Take what is free of these followers and give back what is too much; answers what this
        process has now.
        """
        everything = await self._owners.held(connection, names)
        leases = {one.owner: one.lease for one in everything if one.owner and one.lease}
        peers = await self._peers(connection, leases)
        if left := _left_by_others(everything, peers):
            await newer_code_waits.tidy(connection, left)
        wanted = plan(everything, self.owner, peers)
        if wanted.give_back:
            await checkpoints.release(connection, wanted.give_back)
        if wanted.take:
            await checkpoints.claim(connection, self.owner, wanted.take, self.lease)
        if wanted.give_back or wanted.take:
            everything = await checkpoints.held(connection, names)
        return [one.checkpoint for one in everything if one.owner == self.owner]

    async def leave_to_newer_code(
        self, connection: Connection, held: Sequence[Checkpoint], event: Recorded
    ) -> None:
        """Give these up before the event, until another process has read it. Raises LostLease."""
        left = await newer_code_waits.leave(connection, self.owner, held, event)
        if left != len(held):
            raise LostLease(f"{left} of {len(held)} checkpoints were still mine")

    async def leave(self, connection: Connection) -> None:
        """Let others take over at once."""
        await checkpoints.release_all(connection, self.owner)
        await connection.execute("DELETE FROM followers WHERE owner = %s", (self.owner,))

    async def _peers(
        self, connection: Connection, leases: Mapping[str, timedelta]
    ) -> Collection[str]:
        """Which processes are alive and do the same work; of some it is known how long their leases
        are.
        """
        cursor = await connection.execute(
            "SELECT owner, nullif(alive_until, 'infinity') FROM followers"
            " WHERE serves = %s AND alive_until > clock_timestamp() AND owner <> %s",
            (self._kind, self.owner),
        )
        signs = {
            owner: Sign(until, leases.get(owner, self.lease))
            for owner, until in await cursor.fetchall()
        }
        return {self.owner, *(signs.keys() - self._followers.silent(signs))}


def _left_by_others(everything: Sequence[Held], peers: Collection[str]) -> set[str]:
    """The subscribers of which shards moved on that processes had left which may be gone."""
    return {
        one.checkpoint.projection
        for one in everything
        if any(
            gone.owner not in peers and gone.owner not in one.waits_for_others_than
            for gone in one.left
        )
    }

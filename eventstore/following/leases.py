"""Keeps this process among the living, and its share of the checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from eventstore import checkpoints
from eventstore.checkpoints import Checkpoint
from eventstore.following.shares import plan
from eventstore.pool import Connection


class Leases:
    """`kind` names what this process can work on: others of the same kind share it."""

    def __init__(self, owner: str, kind: str, lease: timedelta) -> None:
        self.owner = owner
        self.lease = lease
        self._kind = kind

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
        everything = await checkpoints.held(connection, names)
        wanted = plan(everything, self.owner, await self._peers(connection))
        if wanted.give_back:
            await checkpoints.release(connection, wanted.give_back)
        if wanted.take:
            await checkpoints.claim(connection, self.owner, wanted.take, self.lease)
        if wanted.give_back or wanted.take:
            everything = await checkpoints.held(connection, names)
        return [one.checkpoint for one in everything if one.owner == self.owner]

    async def leave(self, connection: Connection) -> None:
        """Let others take over at once."""
        await checkpoints.release_all(connection, self.owner)
        await connection.execute("DELETE FROM followers WHERE owner = %s", (self.owner,))

    async def _peers(self, connection: Connection) -> Collection[str]:
        """Who is alive and does the same work."""
        cursor = await connection.execute(
            "SELECT owner FROM followers WHERE serves = %s AND alive_until > clock_timestamp()",
            (self._kind,),
        )
        return {self.owner, *(owner for (owner,) in await cursor.fetchall())}

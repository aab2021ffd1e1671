"""Keeps this process among the living, and its share of the checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from eventstore import checkpoints
from eventstore.checkpoints import Checkpoint
from eventstore.pool import Connection
from projections.shares import plan


class Leases:
    """`serves` names the read models this process can work on, each with the version it knows."""

    def __init__(self, owner: str, serves: Mapping[str, int], lease: timedelta) -> None:
        self.owner = owner
        self.lease = lease
        self._serves = serves
        self._kind = " ".join(f"{name}@{version}" for name, version in sorted(serves.items()))

    async def renew(self, connection: Connection) -> None:
        """To be called several times a lease, also while a batch takes long."""
        async with connection.pipeline():
            await connection.execute(
                "INSERT INTO projectors AS p (owner, serves, alive_until)"
                " VALUES (%s, %s, clock_timestamp() + %s) ON CONFLICT (owner) DO UPDATE"
                " SET alive_until = excluded.alive_until",
                (self.owner, self._kind, self.lease),
            )
            await connection.execute(
                "DELETE FROM projectors WHERE alive_until < clock_timestamp() - interval '1 hour'"
            )
            await checkpoints.renew(connection, self.owner, self.lease)

    async def balance(self, connection: Connection) -> Sequence[Checkpoint]:
        """Take what is free and give back what is too much; answers what this process has now."""
        names = await self._servable(connection)
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
        await connection.execute("DELETE FROM projectors WHERE owner = %s", (self.owner,))

    async def _servable(self, connection: Connection) -> Sequence[str]:
        """A read model of another version belongs to processes of that version."""
        cursor = await connection.execute(
            "SELECT m.name FROM read_models m"
            " JOIN unnest(%s::text[], %s::int[]) AS known (name, version) USING (name, version)",
            (list(self._serves), list(self._serves.values())),
        )
        return [name for (name,) in await cursor.fetchall()]

    async def _peers(self, connection: Connection) -> Collection[str]:
        """Who is alive and works on the same read models."""
        cursor = await connection.execute(
            "SELECT owner FROM projectors WHERE serves = %s AND alive_until > clock_timestamp()",
            (self._kind,),
        )
        return {self.owner, *(owner for (owner,) in await cursor.fetchall())}

"""Path owners: a principal confined to a tenant or a party meets 404 on the paths of others.

A path says whose it is: by a parameter that is named as the App calls its tenants or parties
(`/teams/{team}/budget` where the tenant is a team), or by one that is the key of a row with an
owner, such as that of a read model. What a confined principal may have is decided before the route
is entered; a path that does not say whose it is, is not theirs. A path without parameters is theirs
where its route answers with their own rows, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, exists, select

from handrail.access.principal import Principal
from handrail.access.row_owner import RowOwner
from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.projections.own_rows import own_rows


@dataclass(frozen=True)
class OwnedKey:
    """The key of a table, and whose its rows are."""

    key: Column[Any]
    owner: RowOwner | None


class PathOwners:
    """`tenant` and `party` are the names of path parameters with the id of one; `rows` are the
    keys that other parameters are, by the name of the parameter.
    """

    def __init__(
        self, database: Database, tenant: str, party: str, rows: Mapping[str, OwnedKey]
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._party = party
        self._rows = rows

    async def check(
        self, principal: Principal, path: Mapping[str, str], *, own_rows: bool = False
    ) -> None:
        """Raises Problem where a confined principal does not own what the path names; where it
        names nothing, unless `own_rows` says that the route answers with the caller's own.
        """
        if principal.visibility.everything or (own_rows and not path):
            return
        owned = [await self._owns(principal, name, path[name]) for name in path if self.says(name)]
        if not owned or not all(owned):
            raise Problem("not-found", "there is nothing under this address")

    def says(self, name: str) -> bool:
        """Whether a parameter of this name says whose a path is."""
        return name in {self._tenant, self._party} or name in self._rows

    async def _owns(self, principal: Principal, name: str, value: str) -> bool:
        if name == self._tenant:
            return bool(principal.tenant) and value == principal.tenant
        if name == self._party:
            return bool(principal.party) and value == principal.party
        row = self._rows[name]
        async with self._database.connection(visibility=principal.visibility) as connection:
            own = own_rows(principal.visibility, row.owner, row.key.table)
            found = await connection.execute(select(exists().where(row.key == value, *own)))
            return bool(found.scalar_one())

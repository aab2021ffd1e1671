"""Path owners: a principal confined to a tenant or a party meets 404 on the paths of others.

A path says whose it is: by a parameter that is named as the App calls its tenants or parties
(`/teams/{team}/budget` where the tenant is a team), or by one that is the key of a row with an
owner, such as that of a read model. What a confined principal may have is decided before the route
is entered; a path that does not say whose it is, is not theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, exists, select

from handrail.access.principal import Principal
from handrail.http.database import Database
from handrail.http.problems import Problem


class PathOwners:
    """`tenant` and `party` are the names of path parameters with the id of one; `rows` are the
    columns of which other parameters are keys, by the name of the parameter: row-level security
    says whose a row is.
    """

    def __init__(
        self, database: Database, tenant: str, party: str, rows: Mapping[str, ColumnElement[Any]]
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._party = party
        self._rows = rows

    async def check(self, principal: Principal, path: Mapping[str, str]) -> None:
        """Raises Problem where a confined principal does not own what the path names."""
        if principal.visibility.everything or not path:
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
        is_key = self._rows[name] == value
        async with self._database.connection(visibility=principal.visibility) as connection:
            found = await connection.execute(select(exists().where(is_key)))
            return bool(found.scalar_one())

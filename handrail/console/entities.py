"""Which pages of entities there are for an id: one statement, however many kinds there are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.principal import Principal
from handrail.console.declared import Console, EntityPage


def pages_for(console: Console, principal: Principal) -> Sequence[EntityPage]:
    """Those that the principal may see."""
    return [one for one in console.entities if one.scope in principal.scopes]


async def pages_with(
    connection: AsyncConnection, pages: Sequence[EntityPage], id_: str
) -> Sequence[EntityPage]:
    """Those whose read model has a row with this key."""
    if not pages:
        return ()
    looks = [
        select(literal(number)).where(
            exists().where(one.projection.table.c[one.projection.key] == id_)
        )
        for number, one in enumerate(pages)
    ]
    found = (await connection.execute(union_all(*looks))).scalars().all()
    return [pages[number] for number in sorted(found)]

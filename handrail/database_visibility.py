"""What a statement's principal may see, as settings that are local to the statement's transaction.

They are sent with the statement, in one pipeline: so they are a round trip less, they hold in the
implicit transaction of that pipeline alone, and nothing has to be put back on a connection that
others use next, also where the statement fails or is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from psycopg import AsyncCursor
from psycopg.rows import TupleRow
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.principal import Visibility

LOCALLY: Final = (
    "SELECT set_config('handrail.tenant', %s, true), set_config('handrail.party', %s, true),"
    " set_config('handrail.everything', %s, true)"
)
_SEES: Final = "handrail_visibility"


class ConfinedCursor(AsyncCursor[TupleRow]):
    """Its statements see what its connection's principal sees. Without one they see nothing of a
    table with row-level security.
    """

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        visible: Visibility | None = getattr(self.connection, _SEES, None)
        if visible is None:
            return await super().execute(query, params, **options)
        everything = "on" if visible.everything else "off"
        connection = self.connection
        async with connection.pipeline(), AsyncCursor(connection) as settings:
            await settings.execute(LOCALLY, (visible.tenant, visible.party, everything))
            await super().execute(query, params, **options)
        return self

    async def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        visible: Visibility | None = getattr(self.connection, _SEES, None)
        if visible is None:
            return await super().executemany(query, params_seq, returning=returning)
        for params in params_seq:
            await self.execute(query, params)
        return None


@contextmanager
def seen_by(connection: AsyncConnection, visible: Visibility) -> Iterator[None]:
    """The statements of this connection see what `visible` says, until it is given back."""
    driver: Any = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is connected
    setattr(driver, _SEES, visible)
    try:
        yield
    finally:
        setattr(driver, _SEES, None)

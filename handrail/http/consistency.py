"""Consistency of reads: read-your-writes by a Handrail-Token, and answers that say what is parked.

A read that carries a token waits until its read model has seen that write. A row that is parked
stands still: an answer made from one carries the header Handrail-Parked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail import bounds
from handrail.eventstore.tokens import (
    BadToken,
    NotYetSeen,
    RowParked,
    TokenOfAnotherEpoch,
    UnknownProjection,
    wait_until_seen,
)
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.pagination import PastPageQuery
from handrail.http.prefer_header import seconds_to_wait
from handrail.http.problems import Problem, in_header
from handrail.http.schemas import form
from handrail.paging import After, Slice
from handrail.projections.parked_rows import Standstill, any_parked, standstill
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Projection
from handrail.projections.row_of import row_of

RowT = TypeVar("RowT")

TOKEN: Final = "Handrail-Token"  # noqa: S105  # a name, and no secret
"""The header that names the transaction of a write."""
PARKED: Final = "Handrail-Parked"
PARKED_DESCRIPTION: Final = (
    "How many rows of the answer are parked: they stand still at an event that could not be "
    "applied, and are as they were before it. Of one row also the `position` of that event. "
    "Absent: none."
)
_WAITS: Final = 2
_WAITS_AT_MOST: Final = 10
_AGAIN_WHEN_PARKED: Final = 30  # seconds: a person has to mend something
_AGAIN_WHEN_EXCHANGED: Final = 5


class Freshness:
    """What a token of a write asks of the reads of a request, within so many seconds."""

    def __init__(
        self, services: Services, response: Response, token: str | None, seconds: float
    ) -> None:
        self._services = services
        self._database = services.database
        self._headers = response.headers
        self._token = token
        self._seconds = seconds

    async def of(self, *projections: str, id_: str | None = None) -> None:
        """Raises Problem where a read model has not seen the token in time."""
        for projection in projections if self._token is not None else ():
            await self._wait(projection, self._token or "", id_)

    async def row(
        self,
        projection: Projection[RowT],
        id_: str,
        read: Callable[[AsyncConnection], Awaitable[RowT | None]] | None = None,
        as_of: datetime | None = None,
        effective_at: datetime | None = None,
    ) -> RowT | None:
        """The row, as of now or of a moment, and what of it was true at another one. The answer
        says where it is parked.

        `read` reads it otherwise than by its key. Raises Problem, also where there is no row
        because its first event is parked.
        """
        if as_of is not None or effective_at is not None:
            found = await self._services.history.row(projection, id_, as_of, effective_at)
            if found.stopped_by:
                self._parked_at(projection, id_, found.row, found.stopped_by.position)
            return found.row
        await self.of(projection.name, id_=id_)
        async with self._database.connection() as connection:
            # First: a row that is mended in between is fresh, and said to be parked at the worst.
            parked = await standstill(connection, projection, [id_])
            if read is None:
                row = await row_of(connection, projection, id_)
            else:
                row = await read(connection)
        if id_ in parked.rows:
            self._parked_at(projection, id_, row, parked.rows[id_])
        return row

    async def _rows(
        self, connection: AsyncConnection, projection: Projection[Any], ids: Sequence[str]
    ) -> Standstill:
        """Which of the rows of a page are parked; the answer says how many."""
        parked = await standstill(connection, projection, ids)
        if parked.rows:
            self._headers[PARKED] = f"{len(parked.rows)}"
        return parked

    async def slice(
        self,
        wanted: PastList[RowT],
        query: PastPageQuery,
        after: After | None,
        read: Callable[[AsyncConnection], Awaitable[Slice[RowT]]],
    ) -> tuple[Slice[RowT], Standstill]:
        """A page of a list, and which of its rows are parked: as of the moment of the query, or as
        `read` reads it now. Raises Problem.
        """
        if query.as_of is not None:
            return await self._rows_as_of(wanted, query.as_of, after=after, limit=query.limit)
        await self.of(wanted.projection.name)
        async with self._database.snapshot() as connection:
            found = await read(connection)
            ids = [wanted.key(row) for row in found.rows]
            return found, await self._rows(connection, wanted.projection, ids)

    async def _rows_as_of(
        self, wanted: PastList[RowT], moment: datetime, *, after: After | None, limit: int
    ) -> tuple[Slice[RowT], Standstill]:
        """A page of a list as of a moment, and which of its rows were parked by then.

        Raises Problem.
        """
        found = await self._services.history.rows(
            self._database, wanted, moment, after=after, limit=limit
        )
        async with self._database.connection() as connection:
            anywhere = await any_parked(connection, wanted.projection.name)
        if found.parked:
            self._headers[PARKED] = f"{len(found.parked)}"
        return Slice(found.rows, found.next), Standstill(found.parked, anywhere)

    def _parked_at(self, projection: Projection[Any], id_: str, row: Any, position: int) -> None:
        if row is None:
            said = f"{projection.name} stands still at event {position}, before {id_} had a row"
            raise Problem("row-parked", said, retry_after=_AGAIN_WHEN_PARKED)
        self._headers[PARKED] = f"1;position={position}"

    async def _wait(self, projection: str, token: str, id_: str | None) -> None:
        try:
            await wait_until_seen(self._database, projection, token, id_=id_, timeout=self._seconds)
        except TokenOfAnotherEpoch as error:
            said = f"{error}; read without it"
            raise Problem(
                "token-of-another-epoch", f"{TOKEN}: {said}", [in_header(TOKEN, said)]
            ) from None
        except BadToken:
            said = "not a token that a write was answered with"
            raise Problem(
                "malformed-header", f"{TOKEN}: {said}", [in_header(TOKEN, said)]
            ) from None
        except RowParked as parked:
            said = f"{projection} stands still at event {parked.position} of {parked.stream}"
            raise Problem("row-parked", said, retry_after=_AGAIN_WHEN_PARKED) from None
        except NotYetSeen:
            raise Problem(
                "read-model-behind",
                f"{projection} has not seen the token within {self._seconds} s",
                retry_after=1,
            ) from None
        except UnknownProjection:
            said = f"there is no read model {projection}: it is being exchanged, or installed"
            raise Problem("read-model-exchanged", said, retry_after=_AGAIN_WHEN_EXCHANGED) from None


async def freshness(
    request: Request,
    response: Response,
    services: ServicesDep,
    token: Annotated[
        str | None,
        Header(
            alias=TOKEN,
            json_schema_extra=form(bounds.TOKEN),
            description="The token of a write: the answer will hold what it wrote, or be 503.",
        ),
    ] = None,
    prefer: Annotated[
        str | None,
        Header(
            json_schema_extra={"x-bounds": f"at most {_WAITS_AT_MOST} seconds count"},
            description="`wait=N`: how many seconds (up to 10) to wait for the token.",
        ),
    ] = None,
) -> Freshness:
    """The dependency: a class would be called in a thread, of which there are forty for all."""
    del prefer  # read from the request: there may be several
    return Freshness(services, response, token, seconds_to_wait(request, _WAITS_AT_MOST) or _WAITS)


FreshnessDep = Annotated[Freshness, Depends(freshness)]
"""Reads rows of read models that show what the token's transaction wrote."""

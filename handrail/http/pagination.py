"""Cursors: where the next page begins, in a form that clients pass back and do not read."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import orjson
from fastapi import Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from handrail import bounds
from handrail.http.problems import Problem
from handrail.http.schemas import Asked, Id, Moment, SagaId, text, whole
from handrail.projections.parked_rows import Standstill

ItemT = TypeVar("ItemT")

Limit = Annotated[
    int,
    whole(bounds.PAGE, strict=False),
    Field(description="How many items a page has at most."),
]
CursorText = Annotated[
    str,
    text(bounds.CURSOR),
    Field(description="Where the page begins: taken from `next` of the page before."),
]


INCOMPLETE: Final = (
    "True while events of this read model are parked: rows may stand still, or be missing."
)


class Page(BaseModel, Generic[ItemT]):
    items: list[ItemT]
    next: str | None = Field(
        default=None, description="The address of the next page; also in the Link header."
    )


class RowPage(Page[ItemT], Generic[ItemT]):
    """A page of a read model, which says which of its rows stand still."""

    parked: list[str] = Field(
        default=[],
        description="The ids of those items whose rows are parked: they stand still at an event "
        "that could not be applied, and are as they were before it.",
    )
    incomplete: bool = Field(default=False, description=INCOMPLETE)


class PageQuery(Asked):
    """Its subclasses add filters, which belong to the cursor: another filter, another list."""

    limit: Limit = 50
    cursor: CursorText | None = None

    @property
    def filters(self) -> Mapping[str, Any]:
        return self.model_dump(
            exclude={"limit", "cursor"}, exclude_none=True, mode="json", by_alias=True
        )


class PastPageQuery(PageQuery):
    """Of a list that has `as_of`."""

    as_of: Moment | None = Field(
        default=None,
        description="The list as it was known at this moment (RFC 3339). A page looks at a bounded "
        "number of rows, so it may be empty and still have a next one.",
    )

    def where(self, *names: str) -> dict[str, Any]:
        """The filters of these names that were given."""
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}


BY_TIME: Final[TypeAdapter[tuple[datetime, str]]] = TypeAdapter(tuple[Moment, SagaId])
BY_NAME: Final[TypeAdapter[tuple[str]]] = TypeAdapter(tuple[Id])
BY_VERSION: Final[TypeAdapter[tuple[int]]] = TypeAdapter(
    tuple[Annotated[int, Field(ge=0, le=bounds.LARGEST_INTEGER)]]
)


def position(path: str, query: PageQuery, shape: TypeAdapter[Any]) -> tuple[Any, ...] | None:
    """Raises Problem for a cursor that this list with these filters did not give out."""
    if query.cursor is None:
        return None
    cursor = query.cursor
    try:
        list_, *keys = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found: tuple[Any, ...] = shape.validate_python(tuple(keys), strict=False)
    except (binascii.Error, ValueError, TypeError, ValidationError):
        raise Problem("bad-cursor", "this is not a cursor") from None
    if list_ != _list(path, query):
        raise Problem("bad-cursor", "this cursor is of another list, or of other filters")
    return found


def page(
    items: Sequence[ItemT],
    next_: tuple[Any, ...] | None,
    path: str,
    query: PageQuery,
    response: Response,
) -> Page[ItemT]:
    return Page(items=list(items), next=_next(next_, path, query, response))


def row_page(
    items: Sequence[ItemT],
    next_: tuple[Any, ...] | None,
    path: str,
    query: PageQuery,
    response: Response,
    *,
    parked: Standstill,
) -> RowPage[ItemT]:
    """`parked` is what `Freshness.rows` found."""
    return RowPage(
        items=list(items),
        next=_next(next_, path, query, response),
        parked=sorted(parked.rows),
        incomplete=parked.anywhere,
    )


def _next(
    next_: tuple[Any, ...] | None, path: str, query: PageQuery, response: Response
) -> str | None:
    if next_ is None:
        return None
    keys = orjson.dumps([_list(path, query), *next_])
    cursor = base64.urlsafe_b64encode(keys).decode().rstrip("=")
    asked = {**query.filters, "limit": query.limit, "cursor": cursor}
    address = f"{path}?{urlencode(asked)}"
    response.headers["Link"] = f'<{address}>; rel="next"'
    return address


def _list(path: str, query: PageQuery) -> int:
    return zlib.crc32(orjson.dumps([path, query.filters], option=orjson.OPT_SORT_KEYS))

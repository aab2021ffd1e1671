"""Rows of several sources side by side, each in the order of its ids: a merge join."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, TypeVar

RowT = TypeVar("RowT")


class SortedRows(Generic[RowT]):
    """Rows with their ids, which ascend by their UTF-8 bytes: `COLLATE "C"`, and Python's `<`.

    Only the rows of one id are held at a time, and the one that follows them.
    """

    def __init__(self, rows: AsyncIterator[tuple[str, RowT]]) -> None:
        self._rows = rows
        self._next: tuple[str, RowT] | None = None
        self._begun = False

    async def next_id(self) -> str | None:
        if not self._begun:
            self._begun = True
            await self._advance()
        return None if self._next is None else self._next[0]

    async def of(self, id_: str) -> list[RowT]:
        """The rows of the id, which must not lie behind `next_id`."""
        found: list[RowT] = []
        while await self.next_id() == id_:
            assert self._next is not None
            found.append(self._next[1])
            await self._advance()
        return found

    async def _advance(self) -> None:
        before = self._next
        self._next = await anext(self._rows, None)
        if before and self._next and self._next[0] < before[0]:
            raise ValueError(f"{self._next[0]!r} came after {before[0]!r}")


async def first_id(sources: Sequence[SortedRows[Any]]) -> str | None:
    """The least of the ids that come next."""
    ids = [id_ for one in sources if (id_ := await one.next_id()) is not None]
    return min(ids, default=None)

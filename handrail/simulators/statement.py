"""A company's ledger in pages, for who compares books and cannot hold all of them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Query
from pydantic import BaseModel


class Statement(Protocol):
    def accounts(self) -> Iterable[str]:
        """The ids that any entry is about."""
        ...

    def entries_of(self, about: str) -> Mapping[str, list[dict[str, object]]]:
        """By the names that they have in the whole ledger."""
        ...


class Entry(BaseModel):
    about: str
    kind: str
    entry: dict[str, Any]


class Page(BaseModel):
    """`next` is where to read on, and None at the end."""

    entries: list[Entry]
    next: str | None


def add_statement(app: FastAPI, book: Statement) -> None:
    @app.get("/ledger/entries")
    async def entries(after: str = "", limit: Annotated[int, Query(ge=1, le=5_000)] = 500) -> Page:
        """All entries of the next `limit` ids after the given one, in the order of the ids."""
        accounts = sorted(set(book.accounts()))
        begin = bisect_right(accounts, after) if after else 0
        chosen = accounts[begin : begin + limit]
        found = [
            Entry(about=about, kind=kind, entry=entry)
            for about in chosen
            for kind, several in book.entries_of(about).items()
            for entry in several
        ]
        return Page(entries=found, next=chosen[-1] if begin + limit < len(accounts) else None)

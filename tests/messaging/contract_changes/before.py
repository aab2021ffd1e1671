"""The events of a small library of books, as they were, and what reads each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handrail.app import App, Context
from handrail.kernel import Event, Money
from tests.messaging.contract_changes.parts import consumer, lake, read_model


class LendingEvent(Event, context="lending"):
    pass


@dataclass(frozen=True, kw_only=True)
class BookLent(LendingEvent):
    book: str
    to: str


@dataclass(frozen=True, kw_only=True)
class BookReturned(LendingEvent):
    book: str


@dataclass(frozen=True, kw_only=True)
class BookLost(LendingEvent):
    book: str
    where: str


@dataclass(frozen=True, kw_only=True)
class BookMoved(LendingEvent):
    book: str
    to: str


@dataclass(frozen=True, kw_only=True)
class BookWeighed(LendingEvent):
    book: str
    grams: int


@dataclass(frozen=True, kw_only=True)
class BookGraded(LendingEvent):
    book: str
    state: Literal["new", "used", "torn"]


@dataclass(frozen=True, kw_only=True)
class BookShelved(LendingEvent):
    book: str
    floor: Literal["ground", "first"]


@dataclass(frozen=True, kw_only=True)
class BookStamped(LendingEvent):
    book: str


@dataclass(frozen=True, kw_only=True)
class BookReserved(LendingEvent):
    book: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Fine:
    due: Money
    days: int


@dataclass(frozen=True, kw_only=True)
class BookOverdue(LendingEvent):
    book: str
    fines: tuple[Fine, ...]


@dataclass(frozen=True, kw_only=True)
class BookCounted(LendingEvent):
    book: str


APP = App(
    contexts=[
        Context(
            name="lending",
            events=(
                *(BookLent, BookReturned, BookLost, BookMoved, BookWeighed, BookGraded),
                *(BookShelved, BookStamped, BookReserved, BookOverdue, BookCounted),
            ),
        )
    ],
    consumers=[
        consumer("reminders", BookLent, BookReturned, BookOverdue),
        consumer("stamps", BookStamped, BookCounted),
        consumer("waiting_list", BookReserved, BookLent),
    ],
    projections=[
        read_model("book_shelves", BookShelved, BookMoved, BookStamped),
        read_model("book_states", BookGraded, BookLost, BookReturned),
    ],
    lake=lake(
        fines='SELECT position, unnest(fines) AS "fine" FROM book_overdue',
        fines_by_book="SELECT count(*) FROM fines -- not of book_lent",
        weights="SELECT data FROM events WHERE type = 'BookWeighed'",
    ),
)

"""Our own books, as small as can be: each step takes one thing, and its compensation gives it back.

The commands are decided by the real `CommandHandler` and served by the real `serve`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from handrail.activities.command_handler import Aggregate, single_stream
from handrail.errors import OutOfOrder
from handrail.kernel import Command, Event, Refusal

CATEGORY: Final = "book"
Mood = Literal["", "refuse", "break"]


@dataclass(frozen=True, kw_only=True)
class Taken(Event, context="model"):
    book: str


@dataclass(frozen=True, kw_only=True)
class GivenBack(Event, context="model"):
    book: str


@dataclass(frozen=True, kw_only=True)
class Refused(Refusal, context="model"):
    book: str


@dataclass(frozen=True, kw_only=True)
class Take(Command, context="model"):
    """Takes what its class names; taken before, there is nothing to do."""

    book: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class GiveBack(Command, context="model"):
    book: ClassVar[str]


class Reserve(Take):
    book = "reserve"


class Release(GiveBack):
    book = "reserve"


class Hold(Take):
    book = "hold"


class LetGo(GiveBack):
    book = "hold"


class Prepare(Take):
    book = "prepare"


class Withdraw(GiveBack):
    book = "prepare"


class Place(Take):
    """A pivot in our own books."""

    book = "place"


class Confirm(Take):
    book = "confirm"


class Ship(Take):
    book = "ship"


COMMANDS: Final[Sequence[type[Command]]] = (
    Reserve,
    Release,
    Hold,
    LetGo,
    Prepare,
    Withdraw,
    Place,
    Confirm,
    Ship,
)


class Moods:
    """How the books decide what they are asked next."""

    mood: Mood = ""

    @contextmanager
    def being(self, mood: Mood) -> Iterator[None]:
        self.mood = mood
        try:
            yield
        finally:
            self.mood = ""


@dataclass(frozen=True)
class Book:
    taken: bool = False


def evolve(book: Book, event: Any) -> Book:
    match event:
        case Taken():
            return Book(taken=True)
        case GivenBack():
            return Book(taken=False)
        case _:
            return book


def aggregate(moods: Moods) -> Aggregate[Book]:
    def decide(command: Any, book: Book) -> Sequence[Event]:
        if moods.mood == "break":
            raise OutOfOrder(command.book)
        if isinstance(command, Take):
            if moods.mood == "refuse" and not book.taken:
                return [Refused(book=command.book)]
            return [] if book.taken else [Taken(book=command.book)]
        return [GivenBack(book=command.book)] if book.taken else []

    return single_stream(CATEGORY, Book(), lambda message: message.book, decide, evolve)


def is_taken(streams: Mapping[str, Sequence[Event]], book: str) -> bool:
    state = Book()
    for event in streams.get(f"{CATEGORY}-{book}", ()):
        state = evolve(state, event)
    return state.taken

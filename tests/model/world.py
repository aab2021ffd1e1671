"""The world that activities change: the store, the bank, and the activities themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import handrail.activities.command_activity
from activities.payments.activities import Payments
from activities.payments.transfer import Transfers
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler
from handrail.activities.saga_recorder import activities as journal
from runtime.app import HANDRAIL
from tests.model import books
from tests.model.bank import Ledger, MemoryBank
from tests.model.driving import Deed, drive
from tests.model.runtime import Loop
from tests.model.store import Contents, MemoryStore

NAME: Final = "__temporal_activity_definition"


class World:
    """One world is enough: what it holds is a value, which is put in before anything happens."""

    def __init__(self, beside: World | None = None) -> None:
        self.store: MemoryStore = beside.store if beside else MemoryStore()
        self.bank: MemoryBank = beside.bank if beside else MemoryBank()
        self.moods = books.Moods()
        store: Any = self.store
        self._books = CommandHandler(store, books.aggregate(self.moods))
        payments, transfers = Payments(store, self.bank), Transfers(store, self.bank)
        served: list[Callable[..., Any]] = [
            *journal(store, HANDRAIL.codec),
            *(serve(command, self._books.handle) for command in books.COMMANDS),
            *payments.activities(),
            *transfers.activities(),
        ]
        self._served: Mapping[str, Callable[..., Any]] = {
            getattr(one, NAME).name: one for one in served
        }
        self._handlers: list[CommandHandler[Any]] = [
            self._books,
            payments.steps._handler,
            transfers.steps._handler,
        ]
        self._loop = Loop()  # type: ignore[abstract]  # an activity needs no more of it
        self.beside = self if beside else World(self)
        """The same store and bank, from another process."""

    def put(self, contents: Contents, ledger: Ledger) -> None:
        self.store.contents, self.bank.ledger = contents, ledger
        for handler in [*self._handlers, *self.beside._handlers]:
            # A worker that remembers nothing: what is remembered is guarded by versions anyway.
            handler._folded.clear()

    def run(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        mood: books.Mood = "",
        asked_again: bool = False,
        cut_after: int | None = None,
        between: Callable[[int], None] | None = None,
    ) -> tuple[Any, tuple[Deed, ...]]:
        """What the activity answers, and its deeds. Raises what it raises, and CutShort."""
        self.bank.declines = mood == "refuse"
        before, handrail.activities.command_activity._is_asked_again = (
            handrail.activities.command_activity._is_asked_again,
            lambda: asked_again,
        )
        try:
            with self.moods.being(mood), self._loop.running():
                story = self._served[name](*arguments)
                return drive(story, self._loop.settle, cut_after=cut_after, between=between)
        finally:
            handrail.activities.command_activity._is_asked_again = before
            self.bank.declines = False

"""What other companies hold of a saga, beside what our own books say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from handrail.testing.books import Books


@dataclass(frozen=True, kw_only=True)
class Stand:
    """What stands at other companies and what our books say of it, in the same words.

    `effects` counts what stands for each saga and step that asked for it.
    """

    theirs: Sequence[Any] = ()
    ours: Sequence[Any] = ()
    effects: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Companies(Protocol):
    """The other companies that the activities of a saga ask."""

    async def ledgers(self, names: frozenset[str]) -> Books:
        """What stands at them of anything that has one of the names: as before after a rollback."""
        ...

    async def stand(self, names: frozenset[str]) -> Stand:
        """Their side and ours, of anything that has one of the names."""
        ...


class NoCompanies:
    """The saga asks no other company."""

    async def ledgers(self, names: frozenset[str]) -> Books:  # noqa: ARG002  # there is none to ask
        return {}

    async def stand(self, names: frozenset[str]) -> Stand:  # noqa: ARG002  # there is none to ask
        return Stand()

"""The principal: a caller with a proven name, and what it may see and do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["person", "service", "company", "development"]
"""`company`: another company's webhook. `development`: authentication is off."""


@dataclass(frozen=True)
class Visibility:
    """The rows that a principal may see: those of one tenant, of one party, or all of them.

    Both empty: none. A party is the person for whom a saga runs, such as a traveller; the App says
    which column of a read model names it.
    """

    tenant: str = ""
    party: str = ""
    everything: bool = False


EVERYTHING: Final = Visibility(everything=True)
"""Of operators, and of processes that are no caller."""


@dataclass(frozen=True)
class Principal:
    """Who calls: `subject` is unique among those of its issuer, `scopes` are its rights.

    `tenant` and `party` confine it to what is theirs; a principal with neither is confined to
    nothing but its scopes.
    """

    kind: Kind
    subject: str
    scopes: frozenset[str] = frozenset()
    tenant: str = ""
    party: str = ""

    @property
    def actor(self) -> str:
        """What events name as their actor."""
        return f"{self.kind}:{self.subject}"

    def acting_for(self, name: str) -> str:
        """What events name as their actor where this principal acts for another."""
        return f"{self.actor} for {name}"

    @property
    def visibility(self) -> Visibility:
        if self.tenant or self.party:
            return Visibility(self.tenant, self.party)
        return EVERYTHING

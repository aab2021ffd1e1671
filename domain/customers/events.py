"""Stored for ever: names and fields here are a contract, changed only by a new version.

A customer's id is a pseudonym: it stays in them, and who it was is nowhere any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Event, Money, Refusal


@dataclass(frozen=True, kw_only=True)
class Removed:
    """How many rows were deleted of what."""

    what: str
    count: int


@dataclass(frozen=True, kw_only=True)
class CustomerErasureRequested(Event, context="customers"):
    """There is no way back. `by` is who asked for it."""

    customer: CustomerId
    by: str
    requested_at: datetime


@dataclass(frozen=True, kw_only=True)
class CustomerErasureRefused(Refusal, context="customers"):
    """What is open has to be settled first."""

    customer: CustomerId
    open_orders: tuple[OrderId, ...]
    owed: Money | None

    @property
    def reason(self) -> str:
        open_ = f"{len(self.open_orders)} open: {', '.join(self.open_orders[:10])}"
        owed = f"{self.owed} held or owed" if self.owed and self.owed.amount else ""
        return "; ".join(one for one in (open_ if self.open_orders else "", owed) if one)


@dataclass(frozen=True, kw_only=True)
class CustomerKeysDestroyed(Event, context="customers"):
    """`keys` are the ids that stand in texts which nobody can read any more."""

    customer: CustomerId
    by: str
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CustomerDataRemoved(Event, context="customers"):
    customer: CustomerId
    removed: tuple[Removed, ...]


@dataclass(frozen=True, kw_only=True)
class CustomerErased(Event, context="customers"):
    """The proof: when, by whom, which keys, and what was removed. Other services follow it."""

    customer: CustomerId
    by: str
    keys: tuple[str, ...]
    removed: tuple[Removed, ...]
    erased_at: datetime


CustomerEvent = (
    CustomerErasureRequested
    | CustomerErasureRefused
    | CustomerKeysDestroyed
    | CustomerDataRemoved
    | CustomerErased
)
EVENTS: tuple[type, ...] = get_args(CustomerEvent)

"""The few words every bounded context shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NewType

from handrail.currencies import written
from handrail.errors import CurrencyMismatch

OrderId = NewType("OrderId", str)
CustomerId = NewType("CustomerId", str)
MerchantId = NewType("MerchantId", str)
Sku = NewType("Sku", str)
ReturnId = NewType("ReturnId", str)
PayoutId = NewType("PayoutId", str)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact, named in the past tense. Once stored, its name and shape are a contract."""


@dataclass(frozen=True, kw_only=True)
class Refusal(Event):
    """A fact too: the business said no. It is stored and returned, never raised."""

    @property
    def reason(self) -> str:
        """Why, in words a customer may read."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True)
class Command:
    """An intention, in the imperative. Its class name names the activity that serves it."""

    asks_outside: ClassVar[bool] = False
    """True when serving it means asking another company, which may be slow, or silent."""


@dataclass(frozen=True)
class Money:
    """An amount in minor units (cents) of one ISO 4217 currency."""

    amount: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other).amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other).amount, self.currency)

    def __mul__(self, factor: int) -> Money:
        return Money(self.amount * factor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other).amount

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other).amount

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other).amount

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other).amount

    def __str__(self) -> str:
        return written(self.amount, self.currency)

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{other} is not in {self.currency}")
        return other


def context_of(message: type[Command | Event]) -> str:
    """`domain.credit.commands` is the context `credit`: it names the task queue, too."""
    return message.__module__.split(".")[1]


def void_of(command: type[Command]) -> str:
    """The activity that has another company let go of what the command may have made it do."""
    return f"Void{command.__name__}"


def stream_name(category: str, identity: str) -> str:
    """A stream is `<category>-<id>`; streams with the same id share a shard of the feed."""
    return f"{category}-{identity}"

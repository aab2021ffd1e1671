"""The few words every bounded context shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, NewType

from handrail.currencies import written
from handrail.errors import CurrencyMismatch
from handrail.field_policy import FieldPolicy
from handrail.personal import Personal

TenantId = NewType("TenantId", str)
"""The party on whose behalf sagas run: limits, fairness and figures are kept for each."""
NO_TENANT: Final = TenantId("")
"""Of a saga that runs on behalf of none."""


class Message:
    """What travels by its class name: an event or a command of one bounded context.

    `class HoldCredit(Command, context="credit")`: the name of the context is data. It names the
    task queue, the routing key and the source of CloudEvents; where the class stands does not.
    """

    context: ClassVar[str] = ""

    def __init_subclass__(cls, *, context: str | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if context is not None:
            cls.context = context


@dataclass(frozen=True, kw_only=True)
class Event(Message):
    """A fact, named in the past tense. Once stored, its name and shape are a contract."""

    effective: ClassVar[str] = "effective_at"
    """The field that says when it became true, of a fact that reaches us late. An event without it
    became true when it was recorded.
    """


def effective_at(event: Event) -> datetime | None:
    """When the fact became true, where the event says so."""
    found = getattr(event, event.effective, None)
    return found if isinstance(found, datetime) else None


@dataclass(frozen=True, kw_only=True)
class Refusal(Event):
    """A fact too: the business said no. It is stored and returned, never raised."""

    @property
    def reason(self) -> str:
        """Why, in words that may be shown outside."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True)
class Command(Message):
    """An intention, in the imperative. Its class name names the activity that serves it."""

    asks_outside: ClassVar[bool] = False
    """True when serving it means asking another company, which may be slow, or silent."""
    field_policy: ClassVar[FieldPolicy] = FieldPolicy()
    """Bounds and corrections of its fields. A business declares it once, in the base of its
    commands; workflows and activities read it from the command that they hold.
    """


@dataclass(frozen=True)
class Attribution:
    """The actor who has something done and the reason, stored with what it changes."""

    actor: str
    reason: Annotated[str, Personal()]


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


def context_of(message: type[Message]) -> str:
    """The name of the context that a message belongs to. Raises LookupError where none is named."""
    if not message.context:
        name = message.__name__
        raise LookupError(f"{name} names no context: class {name}(…, context=…)")
    return message.context


def void_of(command: type[Command]) -> str:
    """The activity that has another company let go of what the command may have made it do."""
    return f"Void{command.__name__}"


def stream_name(category: str, identity: str) -> str:
    """A stream is `<category>-<id>`; streams with the same id share a shard of the feed."""
    return f"{category}-{identity}"

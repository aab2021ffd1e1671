"""What the bank answered comes in as an argument: the activity asks, and adds the reply."""

from dataclasses import dataclass
from typing import ClassVar

from domain.kernel import Command, Money, OrderId


@dataclass(frozen=True, kw_only=True)
class Approved:
    """The bank did it; `reference` is the bank's own name for it."""

    reference: str


@dataclass(frozen=True, kw_only=True)
class Declined:
    code: str


BankReply = Approved | Declined


@dataclass(frozen=True, kw_only=True)
class AuthoriseDownPayment(Command):
    asks_outside: ClassVar[bool] = True

    order: OrderId
    amount: Money
    card: str
    reply: BankReply | None = None


@dataclass(frozen=True, kw_only=True)
class VoidPayment(Command):
    """From now on the bank holds nothing for this order, whatever of it arrives late."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    reply: BankReply | None = None


@dataclass(frozen=True, kw_only=True)
class CapturePayment(Command):
    asks_outside: ClassVar[bool] = True

    order: OrderId
    amount: Money
    reply: BankReply | None = None


PaymentCommand = AuthoriseDownPayment | VoidPayment | CapturePayment
COMMANDS = (AuthoriseDownPayment, VoidPayment, CapturePayment)

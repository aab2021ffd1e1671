"""What the events of a long stream add up to, kept while they are read one after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from domain.credit.events import CreditConsumed, CreditRestored, DebtWrittenOff
from domain.inventory.events import StockReceived, StockReturned, StockShipped
from domain.settlement.events import (
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutPrepared,
)
from handrail.kernel import Event


@dataclass
class MerchantFigures:
    """`owed` is what was accrued, less what came back, is on its way and was paid out."""

    owed: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        match event:
            case PayableAccrued(gross=gross, fee=fee):
                self.owed += (gross - fee).amount
            case PayableClawedBack(amount=amount) | PayoutPrepared(amount=amount):
                self.owed -= amount.amount
            case PayoutCancelled(amount=amount):
                self.owed += amount.amount
            case _:
                pass
        balance = getattr(event, "balance", None)
        if balance is not None and balance.amount != self.owed:
            self.wrong.append(
                f"{balance} owed after {type(event).__name__}, but its events say {self.owed}"
            )


@dataclass
class StockFigures:
    """`inside` is what came and did not leave."""

    inside: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        match event:
            case StockReceived(quantity=quantity) | StockReturned(quantity=quantity):
                self.inside += quantity
            case StockShipped(quantity=quantity):
                self.inside -= quantity
            case _:
                pass
        available = getattr(event, "available", 0)
        if available < 0:
            self.wrong.append(f"{available} available after {type(event).__name__}")


@dataclass
class CreditFigures:
    """`debts` are those that are open, by order."""

    debts: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        match event:
            case CreditConsumed(order=order, amount=amount):
                self._owes(order, amount.amount)
            case (
                CreditRestored(order=order, amount=amount)
                | DebtWrittenOff(order=order, amount=amount)
            ):
                self._owes(order, -amount.amount)
            case _:
                pass

    def _owes(self, order: str, amount: int) -> None:
        self.debts[order] += amount
        if not self.debts[order]:
            del self.debts[order]

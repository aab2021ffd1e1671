"""The shop's evidence of one id, such as an order, a payout or a merchant.

Beside what the library reads: aggregates, the books of bank and carrier, and what finance booked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from domain.credit import credit_line
from domain.credit.events import (
    CreditConsumed,
    CreditHeld,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
)
from domain.customers import customer
from domain.inventory import stock
from domain.inventory.events import StockReleased, StockReserved, StockReturned, StockShipped
from domain.ordering import order
from domain.payments import payment, plan, transfer
from domain.settlement import application, merchant_account
from domain.settlement.events import (
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutPrepared,
)
from domain.shipping import shipment
from handrail.kernel import Event
from handrail.projections.projection import category_of
from handrail.sagas.interventions import SagaTold
from handrail.verify import evidence
from handrail.verify.evidence import SagaEvidence, Seen
from runtime.verify.stream_figures import CreditFigures, MerchantFigures, StockFigures

CHECKOUT: Final = "Checkout"

_AGGREGATES: Final[Mapping[str, tuple[Any, Any]]] = {
    order.CATEGORY: (order.Order(), order.evolve),
    stock.CATEGORY: (stock.StockItem(), stock.evolve),
    credit_line.CATEGORY: (credit_line.CreditLine(), credit_line.evolve),
    payment.CATEGORY: (payment.Payment(), payment.evolve),
    plan.CATEGORY: (plan.InstalmentPlan(), plan.evolve),
    transfer.CATEGORY: (transfer.Transfer(), transfer.evolve),
    shipment.CATEGORY: (shipment.Shipment(), shipment.evolve),
    merchant_account.CATEGORY: (merchant_account.MerchantAccount(), merchant_account.evolve),
    application.CATEGORY: (application.Application(), application.evolve),
    customer.CATEGORY: (customer.Customer(), customer.evolve),
}

# A stream of these grows as long as the shop is open: its events are folded, and not kept.
_FIGURES: Final[Mapping[str, Callable[[], Any]]] = {
    merchant_account.CATEGORY: MerchantFigures,
    stock.CATEGORY: StockFigures,
    credit_line.CATEGORY: CreditFigures,
}

MENTIONS: Final[Mapping[type[Event], str]] = {
    CreditHeld: "order",
    CreditReleased: "order",
    CreditConsumed: "order",
    CreditRestored: "order",
    DebtWrittenOff: "order",
    StockReserved: "order",
    StockReleased: "order",
    StockShipped: "order",
    StockReturned: "order",
    PayableAccrued: "order",
    PayableClawedBack: "order",
    PayoutPrepared: "payout",
    PayoutCancelled: "payout",
    PayoutConfirmed: "payout",
    SagaTold: "saga",
}
"""The events that name an id beside that of their stream, and the field that holds it."""

Entries = Mapping[str, Sequence[Mapping[str, Any]]]
"""What a company has in its books, by kind of entry."""


@dataclass(frozen=True)
class Stored(evidence.Stored):
    """`unbooked`: finance has yet to handle it."""

    unbooked: bool = False


@dataclass(frozen=True)
class Mention(evidence.Mention):
    """`unbooked`: finance has yet to handle it."""

    unbooked: bool = False


@dataclass
class Evidence(SagaEvidence):
    """`bank` and `carrier` are None where nobody was asked."""

    not_kept: ClassVar[frozenset[str]] = frozenset({*_FIGURES, *SagaEvidence.not_kept})
    asked_once: ClassVar[frozenset[str]] = frozenset({CHECKOUT})

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The folded aggregates by category and id."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Of long streams, by category: what their events add up to."""
    bank: Entries | None = None
    carrier: Entries | None = None
    balances: Mapping[str, int] = field(default_factory=dict)
    """What finance has booked for the id, by account."""
    unbooked: set[str] = field(default_factory=set)
    """The categories of which finance has yet to handle an event."""

    def state(self, category: str) -> Any | None:
        return self.states.get(category, {}).get(self.id)

    def take(self, stored: evidence.Stored, seen: Seen | None = None) -> None:
        super().take(stored, seen)
        category = category_of(stored.recorded.stream)
        if isinstance(stored, Stored) and stored.unbooked:
            self.unbooked.add(category)
        if category in _FIGURES:
            self.figures.setdefault(category, _FIGURES[category]()).add(stored.event)
        folded(self, stored.recorded.stream, stored.event)

    def mention(self, mention: evidence.Mention, acted: str = "") -> None:
        super().mention(mention, acted)
        if isinstance(mention, Mention) and mention.unbooked:
            self.unbooked.add(category_of(mention.stream))


def folded(into: Evidence, stream: str, event: Event) -> None:
    category, _, identity = stream.partition("-")
    if category in _AGGREGATES:
        initial, evolve = _AGGREGATES[category]
        states = into.states.setdefault(category, {})
        states[identity] = evolve(states.get(identity, initial), event)

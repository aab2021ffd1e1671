"""Which events customers are told of, and what is said. Reminders are apart: `reminders.py`."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.notifications.kinds import KINDS
from domain.ordering.events import (
    OrderConfirmed,
    OrderRejected,
    ReturnAccepted,
    ReturnRefused,
    ReviewRequested,
)
from domain.payments.events import (
    InstalmentCollected,
    InstalmentMissed,
    LateFeeCharged,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.shipping.events import ShipmentDelivered, ShipmentDispatched, ShipmentLost
from handrail.kernel import Event
from handrail.notifications.kinds import Kind, Value, Values

TOLD: tuple[type[Event], ...] = (
    OrderConfirmed,
    OrderRejected,
    ReviewRequested,
    ReturnAccepted,
    ReturnRefused,
    InstalmentCollected,
    InstalmentMissed,
    LateFeeCharged,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
    ShipmentDispatched,
    ShipmentDelivered,
    ShipmentLost,
)


@dataclass(frozen=True)
class Notice:
    kind: Kind
    values: Values


def notice_of(event: Event) -> Notice | None:  # noqa: C901, PLR0911, PLR0912  # one arm an event
    """What a customer is told of this event, if anything."""
    match event:
        case OrderConfirmed(order=order):
            return _notice("order-confirmed", order=order)
        case OrderRejected(order=order):
            return _notice("order-rejected", order=order)
        case ReviewRequested(order=order, total=total):
            return _notice("order-reviewed", order=order, total=total)
        case ReturnAccepted(order=order, why="returned"):  # of a lost parcel they hear anyway
            return _notice("return-accepted", order=order)
        case ReturnRefused(order=order):
            return _notice("return-refused", order=order)
        case InstalmentCollected(order=order, number=number, principal=principal, fees=fees):
            amount = principal + fees
            return _notice("instalment-collected", order=order, number=number, amount=amount)
        case InstalmentMissed(order=order, amount=amount):
            return _notice("instalment-missed", order=order, amount=amount)
        case LateFeeCharged(order=order, fee=fee):
            return _notice("late-fee", order=order, amount=fee)
        case PlanSettled(order=order):
            return _notice("plan-settled", order=order)
        case PlanWrittenOff(order=order, principal=principal, fees=fees):
            return _notice("plan-written-off", order=order, amount=principal + fees)
        case RefundPaid(order=order, amount=amount) if amount.amount:
            return _notice("refund-paid", order=order, amount=amount)
        case ShipmentDispatched(order=order):
            return _notice("shipment-dispatched", order=order)
        case ShipmentDelivered(order=order):
            return _notice("shipment-delivered", order=order)
        case ShipmentLost(order=order):
            return _notice("shipment-lost", order=order)
        case _:
            return None


def _notice(kind: str, **values: Value) -> Notice:
    return Notice(KINDS[kind], values)

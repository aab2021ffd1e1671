"""The events of the shop that a merchant may have sent to webhook endpoints of its own."""

from __future__ import annotations

from typing import Final

from domain.ordering import events as ordering
from domain.settlement import events as settlement

TENANT_EVENTS: Final[tuple[type, ...]] = (
    ordering.OrderPlaced,
    ordering.OrderRejected,
    ordering.OrderConfirmed,
    ordering.OrderCompleted,
    ordering.ReturnAccepted,
    ordering.ReturnWithdrawn,
    ordering.ReturnCompleted,
    settlement.PayableAccrued,
    settlement.PayableClawedBack,
    settlement.PayoutPrepared,
    settlement.PayoutCancelled,
    settlement.PayoutConfirmed,
    settlement.MerchantActivated,
)
"""What is about customers alone, such as their credit, is none of a merchant's business."""

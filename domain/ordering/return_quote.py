"""What a workflow asks before it begins a saga, and what it is told: nothing is stored of it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.ordering.events import ReturnLine, Why
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class QuoteReturnOf:
    """Without `lines`, all that is left of the order is meant."""

    order: OrderId
    lines: tuple[ReturnLine, ...]
    why: Why


@dataclass(frozen=True, kw_only=True)
class ReturnQuote:
    """What the lines are worth now: `absorbed` is no longer due, `refund` goes to the customer.

    `delivered` is whether the customer has the order.
    """

    lines: tuple[ReturnLine, ...]
    delivered: bool
    customer: CustomerId
    merchant: MerchantId
    value: Money
    absorbed: Money
    refund: Money

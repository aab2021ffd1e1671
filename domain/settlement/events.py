"""Stored for ever: names and fields here are a contract, changed only by a new version.

`balance` is what the merchant is owed after the event, so that a reader needs no history.
"""

from dataclasses import dataclass

from domain.kernel import Event, MerchantId, Money, OrderId


@dataclass(frozen=True, kw_only=True)
class MerchantAccountOpened(Event):
    """`fee_bps` is our fee in basis points (hundredths of a percent) of each order's total."""

    merchant: MerchantId
    currency: str
    fee_bps: int


@dataclass(frozen=True, kw_only=True)
class PayableAccrued(Event):
    merchant: MerchantId
    order: OrderId
    gross: Money
    fee: Money
    balance: Money


@dataclass(frozen=True, kw_only=True)
class PayableClawedBack(Event):
    merchant: MerchantId
    order: OrderId
    amount: Money
    balance: Money


MerchantEvent = MerchantAccountOpened | PayableAccrued | PayableClawedBack
EVENTS = (MerchantAccountOpened, PayableAccrued, PayableClawedBack)

from dataclasses import dataclass

from domain.kernel import Command, MerchantId, Money, OrderId


@dataclass(frozen=True, kw_only=True)
class OpenMerchantAccount(Command):
    """`fee_bps` is our fee in basis points (hundredths of a percent) of each order's total."""

    merchant: MerchantId
    currency: str
    fee_bps: int


@dataclass(frozen=True, kw_only=True)
class AccruePayable(Command):
    merchant: MerchantId
    order: OrderId
    gross: Money


@dataclass(frozen=True, kw_only=True)
class ClawBack(Command):
    """Take back all that was accrued for the order."""

    merchant: MerchantId
    order: OrderId


MerchantCommand = OpenMerchantAccount | AccruePayable | ClawBack
COMMANDS = (OpenMerchantAccount, AccruePayable, ClawBack)

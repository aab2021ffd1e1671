from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, get_args

from domain.command_fields import ShopCommand
from domain.identifiers import MerchantId, OrderId, PayoutId, ReturnId
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class OpenMerchantAccount(ShopCommand, context="settlement"):
    """`fee_bps` is our fee in basis points (hundredths of a percent) of each order's total.

    `onboarding` is whether it is opened for an application, and closed if that is turned down.
    """

    merchant: MerchantId
    currency: str
    fee_bps: int
    onboarding: bool = False


@dataclass(frozen=True, kw_only=True)
class AccruePayable(ShopCommand, context="settlement"):
    merchant: MerchantId
    order: OrderId
    gross: Money


@dataclass(frozen=True, kw_only=True)
class ClawBack(ShopCommand, context="settlement"):
    """What was sold for `gross` came back: our fee on it is not owed either.

    However an order comes back in pieces, its fee is given back to the cent.
    """

    merchant: MerchantId
    order: OrderId
    return_id: ReturnId
    gross: Money


@dataclass(frozen=True, kw_only=True)
class PreparePayout(ShopCommand, context="settlement"):
    """From now on the amount is on its way to the merchant, and not owed."""

    merchant: MerchantId
    payout: PayoutId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class CancelPayout(ShopCommand, context="settlement"):
    merchant: MerchantId
    payout: PayoutId


@dataclass(frozen=True, kw_only=True)
class ConfirmPayout(ShopCommand, context="settlement"):
    """The merchant has it."""

    merchant: MerchantId
    payout: PayoutId


@dataclass(frozen=True, kw_only=True)
class CloseMerchantAccount(ShopCommand, context="settlement"):
    """With `onboarding`, only if it was opened for an application: what was there before stays."""

    merchant: MerchantId
    onboarding: bool = False


@dataclass(frozen=True, kw_only=True)
class Document:
    """Where a paper of the merchant is kept; what it says stays out of events."""

    kind: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The registry knows the business; `entry` is the registry's own name for it."""

    entry: str


@dataclass(frozen=True, kw_only=True)
class NotRegistered:
    code: str


RegistryReply = Registered | NotRegistered


@dataclass(frozen=True, kw_only=True)
class SubmitApplication(ShopCommand, context="settlement"):
    """`registration` is the number under which a public registry knows the business."""

    merchant: MerchantId
    registration: str
    documents: tuple[Document, ...]
    submitted_at: datetime


@dataclass(frozen=True, kw_only=True)
class WithdrawApplication(ShopCommand, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class CheckRegistry(ShopCommand, context="settlement"):
    asks_outside: ClassVar[bool] = True

    merchant: MerchantId
    registration: str
    reply: RegistryReply | None = None


@dataclass(frozen=True, kw_only=True)
class DiscardCheck(ShopCommand, context="settlement"):
    """Forget what the registry said. The registry itself has nothing to take back."""

    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class RequestApproval(ShopCommand, context="settlement"):
    """A person is to decide on the application."""

    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class CloseApproval(ShopCommand, context="settlement"):
    merchant: MerchantId


@dataclass(frozen=True, kw_only=True)
class ActivateMerchant(ShopCommand, context="settlement"):
    """From now on the merchant may sell."""

    merchant: MerchantId


PayoutCommand = PreparePayout | CancelPayout | ConfirmPayout
MerchantCommand = (
    OpenMerchantAccount | AccruePayable | ClawBack | PayoutCommand | CloseMerchantAccount
)
ApplicationCommand = (
    SubmitApplication
    | WithdrawApplication
    | CheckRegistry
    | DiscardCheck
    | RequestApproval
    | CloseApproval
    | ActivateMerchant
)
COMMANDS: tuple[type, ...] = get_args(MerchantCommand | ApplicationCommand)

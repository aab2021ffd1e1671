"""What the bank answered comes in as an argument: the activity asks, and adds the reply."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, ClassVar, get_args

from domain.command_fields import ShopCommand
from domain.identifiers import CustomerId, MerchantId, OrderId, PayoutId, ReturnId
from handrail.kernel import Money
from handrail.personal import Personal
from handrail.replies import Reply


@dataclass(frozen=True, kw_only=True)
class AuthoriseDownPayment(ShopCommand, context="payments"):
    asks_outside: ClassVar[bool] = True

    order: OrderId
    amount: Money
    card: Annotated[str, Personal()]
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class VoidPayment(ShopCommand, context="payments"):
    """From now on the bank holds nothing for this order, whatever of it arrives late."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class CapturePayment(ShopCommand, context="payments"):
    asks_outside: ClassVar[bool] = True

    order: OrderId
    amount: Money
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class RecordDispute(ShopCommand, context="payments"):
    """The customer told the bank to take the amount back; `dispute` is the bank's name for it.

    `instalments` is what the order's plan has brought so far, beside the down payment: whoever asks
    need not know it, it is looked up. None: nothing.
    """

    order: OrderId
    dispute: str
    amount: Money
    instalments: Money | None = None
    effective_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class OpenPlan(ShopCommand, context="payments"):
    """Pay `financed` in monthly instalments, the first of them on `first_due`.

    `day` is the day of the month on which the others are due, or the last day of a shorter month;
    0 is that of `first_due`.
    """

    order: OrderId
    customer: CustomerId
    financed: Money
    instalments: int
    card: Annotated[str, Personal(subject="customer")]
    first_due: date
    day: int = 0


@dataclass(frozen=True, kw_only=True)
class CollectInstalment(ShopCommand, context="payments"):
    """`amount` is what the instalment comes to now: its principal and its fees."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    number: int
    amount: Money
    card: Annotated[str, Personal()]
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class ChargeLateFee(ShopCommand, context="payments"):
    """Each reminder of an instalment costs one fee, however often it is asked for."""

    order: OrderId
    number: int
    fee: Money
    reminder: int


@dataclass(frozen=True, kw_only=True)
class Reschedule(ShopCommand, context="payments"):
    """Move one instalment, and no other."""

    order: OrderId
    number: int
    due: date


@dataclass(frozen=True, kw_only=True)
class SettleEarly(ShopCommand, context="payments"):
    """`amount` is all that is outstanding now, fees included."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    amount: Money
    card: Annotated[str, Personal()]
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class WriteOffPlan(ShopCommand, context="payments"):
    """Give up what is still due."""

    order: OrderId


@dataclass(frozen=True, kw_only=True)
class AdjustPlan(ShopCommand, context="payments"):
    """Goods worth `value` came back: `absorbed` of it is no longer due, the rest is refunded."""

    order: OrderId
    return_id: ReturnId
    value: Money
    absorbed: Money


@dataclass(frozen=True, kw_only=True)
class RevertAdjustment(ShopCommand, context="payments"):
    order: OrderId
    return_id: ReturnId


@dataclass(frozen=True, kw_only=True)
class RefundPayment(ShopCommand, context="payments"):
    """Pay out what the adjustment owes the customer; the bank is not asked for nothing."""

    asks_outside: ClassVar[bool] = True

    order: OrderId
    return_id: ReturnId
    amount: Money
    reply: Reply | None = None


@dataclass(frozen=True, kw_only=True)
class TransferPayout(ShopCommand, context="payments"):
    asks_outside: ClassVar[bool] = True

    payout: PayoutId
    merchant: MerchantId
    amount: Money
    reply: Reply | None = None


PaymentCommand = AuthoriseDownPayment | VoidPayment | CapturePayment | RecordDispute
PlanCommand = (
    OpenPlan
    | CollectInstalment
    | ChargeLateFee
    | Reschedule
    | SettleEarly
    | WriteOffPlan
    | AdjustPlan
    | RevertAdjustment
    | RefundPayment
)
TransferCommand = TransferPayout
COMMANDS: tuple[type, ...] = get_args(PaymentCommand | PlanCommand | TransferCommand)

from dataclasses import dataclass
from datetime import datetime

from domain.kernel import Command, CustomerId, MerchantId, Money, OrderId
from domain.ordering.events import OrderLine


@dataclass(frozen=True, kw_only=True)
class PlaceOrder(Command):
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    down_payment: Money
    instalments: int
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class RejectOrder(Command):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConfirmOrder(Command):
    order: OrderId


OrderCommand = PlaceOrder | RejectOrder | ConfirmOrder
COMMANDS = (PlaceOrder, RejectOrder, ConfirmOrder)

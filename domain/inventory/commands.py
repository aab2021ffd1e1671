from dataclasses import dataclass
from typing import get_args

from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from handrail.kernel import Command


@dataclass(frozen=True, kw_only=True)
class StockLine:
    sku: Sku
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReceiveStock(Command, context="inventory"):
    merchant: MerchantId
    sku: Sku
    delivery: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReserveStock(Command, context="inventory"):
    """All lines or none."""

    order: OrderId
    merchant: MerchantId
    lines: tuple[StockLine, ...]


@dataclass(frozen=True, kw_only=True)
class ReleaseStock(Command, context="inventory"):
    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class ShipStock(Command, context="inventory"):
    """What was reserved for the order leaves the house."""

    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class Restock(Command, context="inventory"):
    """What came back can be sold again."""

    merchant: MerchantId
    return_id: ReturnId
    order: OrderId
    lines: tuple[StockLine, ...]


StockCommand = ReceiveStock | ReserveStock | ReleaseStock | ShipStock | Restock
COMMANDS: tuple[type, ...] = get_args(StockCommand)

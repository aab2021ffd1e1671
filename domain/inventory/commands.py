from dataclasses import dataclass
from typing import get_args

from domain.command_fields import ShopCommand
from domain.identifiers import MerchantId, OrderId, ReturnId, Sku


@dataclass(frozen=True, kw_only=True)
class StockLine:
    sku: Sku
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReceiveStock(ShopCommand, context="inventory"):
    merchant: MerchantId
    sku: Sku
    delivery: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReserveStock(ShopCommand, context="inventory"):
    """All lines or none."""

    order: OrderId
    merchant: MerchantId
    lines: tuple[StockLine, ...]


@dataclass(frozen=True, kw_only=True)
class ReleaseStock(ShopCommand, context="inventory"):
    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class ShipStock(ShopCommand, context="inventory"):
    """What was reserved for the order leaves the house."""

    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class Restock(ShopCommand, context="inventory"):
    """What came back can be sold again."""

    merchant: MerchantId
    return_id: ReturnId
    order: OrderId
    lines: tuple[StockLine, ...]


StockCommand = ReceiveStock | ReserveStock | ReleaseStock | ShipStock | Restock
COMMANDS: tuple[type, ...] = get_args(StockCommand)

from dataclasses import dataclass

from handrail.kernel import Command, MerchantId, OrderId, ReturnId, Sku


@dataclass(frozen=True, kw_only=True)
class StockLine:
    sku: Sku
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReceiveStock(Command):
    merchant: MerchantId
    sku: Sku
    delivery: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ReserveStock(Command):
    """All lines or none."""

    order: OrderId
    merchant: MerchantId
    lines: tuple[StockLine, ...]


@dataclass(frozen=True, kw_only=True)
class ReleaseStock(Command):
    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class ShipStock(Command):
    """What was reserved for the order leaves the house."""

    order: OrderId
    merchant: MerchantId
    skus: tuple[Sku, ...]


@dataclass(frozen=True, kw_only=True)
class Restock(Command):
    """What came back can be sold again."""

    merchant: MerchantId
    return_id: ReturnId
    order: OrderId
    lines: tuple[StockLine, ...]


StockCommand = ReceiveStock | ReserveStock | ReleaseStock | ShipStock | Restock
COMMANDS = (ReceiveStock, ReserveStock, ReleaseStock, ShipStock, Restock)

from dataclasses import dataclass

from domain.kernel import Command, MerchantId, OrderId, Sku


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


StockCommand = ReceiveStock | ReserveStock | ReleaseStock
COMMANDS = (ReceiveStock, ReserveStock, ReleaseStock)

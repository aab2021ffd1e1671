"""Stock: one stream for each article of a merchant; all lines of an order are one append."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from domain.identifiers import Sku
from domain.inventory import stock
from domain.inventory.commands import (
    COMMANDS,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    Restock,
    ShipStock,
    StockCommand,
)
from domain.inventory.events import StockEvent
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import Aggregate, CommandHandler
from handrail.eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    shelves = CommandHandler(
        store,
        Aggregate(
            category=stock.CATEGORY,
            initial=stock.StockItem(),
            ids=lambda command: [stock.stream_id(command.merchant, sku) for sku in _skus(command)],
            decide=_decide,
            evolve=stock.evolve,
            id_of=lambda event: stock.stream_id(event.merchant, event.sku),
        ),
    )
    return [serve(command, shelves.handle) for command in COMMANDS]


def _skus(command: StockCommand) -> Sequence[Sku]:
    match command:
        case ReceiveStock():
            return [command.sku]
        case ReserveStock() | Restock():
            return [line.sku for line in command.lines]
        case ReleaseStock() | ShipStock():
            return command.skus
        case _:
            assert_never(command)


def _decide(command: StockCommand, items: Mapping[str, stock.StockItem]) -> Sequence[StockEvent]:
    return stock.decide(
        command, {sku: items[stock.stream_id(command.merchant, sku)] for sku in _skus(command)}
    )

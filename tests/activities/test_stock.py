"""All articles of an order leave in one transaction, and come back in one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from activities import inventory
from domain.identifiers import ReturnId
from domain.inventory.commands import (
    ReceiveStock,
    ReserveStock,
    Restock,
    ShipStock,
    StockLine,
)
from domain.inventory.events import StockReceived, StockReserved, StockReturned, StockShipped
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.kernel import Command
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from runtime.app import HANDRAIL
from tests.controls import a_merchant, a_sku, an_order_id, readable_id


async def asks(activities: Sequence[Any], command: Command) -> Answer:
    serving = {one.__temporal_activity_definition.name: one for one in activities}
    key = StepKey(saga=readable_id("saga"), attempt=1, step="A", opened_on=date(2026, 3, 2))
    answer: Answer = await serving[type(command).__name__](
        command, StepContext(key=key, actor="tests")
    )
    return answer


async def test_an_order_of_two_articles_leaves_and_comes_back(database: str) -> None:
    merchant, order, skus = a_merchant(), an_order_id(), (a_sku(), a_sku())
    lines = tuple(StockLine(sku=sku, quantity=2) for sku in skus)
    streams = {f"stock-{merchant}:{sku}": 0 for sku in skus}
    async with open_pool(database, role="handrail_app") as pool:
        store = EventStore(pool, HANDRAIL.codec)
        shelves = inventory.activities(store)
        for sku in skus:
            await asks(
                shelves,
                ReceiveStock(merchant=merchant, sku=sku, delivery="first", quantity=5),
            )
        await asks(shelves, ReserveStock(order=order, merchant=merchant, lines=lines))
        await asks(shelves, ShipStock(order=order, merchant=merchant, skus=skus))
        back = Restock(merchant=merchant, return_id=ReturnId("return-1"), order=order, lines=lines)
        await asks(shelves, back)
        await asks(shelves, back)
        told = [
            [type(event) for event in one.events] for one in (await store.load(streams)).values()
        ]

    assert told == [[StockReceived, StockReserved, StockShipped, StockReturned]] * 2

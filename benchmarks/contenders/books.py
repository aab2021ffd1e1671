"""The shops, customers and stock that the orders need."""

from __future__ import annotations

from benchmarks.contenders.orders import CUSTOMERS, MERCHANTS, PLENTY, SKUS, customer, merchant, sku
from domain.credit.events import LimitAssigned
from domain.identifiers import MerchantId, Sku
from domain.inventory.events import StockReceived
from domain.settlement.events import MerchantAccountOpened
from handrail.eventstore.store import EventStore
from handrail.kernel import Money, stream_name

_NOTHING = Money(0, "EUR")


async def open_books(store: EventStore) -> None:
    """Every article is sold by one merchant: that whose number it shares."""
    for number in range(MERCHANTS):
        one = merchant(number)
        opened = MerchantAccountOpened(merchant=one, currency="EUR", fee_bps=250)
        await store.append([(stream_name("merchant", one), 0, [opened])])
    for number in range(SKUS):
        await put_on_the_shelf(store, merchant(number), sku(number), PLENTY)
    limit = Money(PLENTY * 1000, "EUR")
    for number in range(CUSTOMERS):
        assigned = LimitAssigned(
            customer=customer(number), limit=limit, held=_NOTHING, used=_NOTHING
        )
        await store.append([(stream_name("credit", customer(number)), 0, [assigned])])


async def put_on_the_shelf(
    store: EventStore, merchant_id: MerchantId, sku_id: Sku, quantity: int
) -> None:
    received = StockReceived(
        merchant=merchant_id,
        sku=sku_id,
        delivery="first",
        quantity=quantity,
        available=quantity,
        reserved=0,
    )
    await store.append([(stream_name("stock", f"{merchant_id}:{sku_id}"), 0, [received])])

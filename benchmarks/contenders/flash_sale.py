"""A flash sale, and the same orders spread over many articles, of which there are as many in all.

Each sale has articles of its own: the saga of number n belongs to the sale `n // ORDERS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Literal

from benchmarks.contenders.books import open_books, put_on_the_shelf
from benchmarks.contenders.handrail import check_out, open_worker
from benchmarks.contenders.orders import checkout, merchant
from benchmarks.contenders.turns import Saga, contend
from domain.identifiers import OrderId, Sku
from workflows.checkout import Checkout

ORDERS: Final = 2000
IN_STOCK: Final = 500
SALES: Final = 3

Kind = Literal["hot", "spread"]
SHOP: Final = merchant(0)


def articles(kind: Kind, sale: int) -> dict[Sku, int]:
    """How much there is of each."""
    if kind == "hot":
        return {Sku(f"hot-{sale}"): IN_STOCK}
    return {Sku(f"spread-{sale}-{number}"): 1 for number in range(IN_STOCK)}


def order(kind: Kind, number: int) -> Checkout:
    """At one merchant in both cases, so that only the article makes a difference."""
    usual = checkout(number)
    wanted = list(articles(kind, number // ORDERS))
    line = replace(usual.lines[0], sku=wanted[number % len(wanted)])
    return replace(usual, order=OrderId(f"{kind}-{number}"), merchant=SHOP, lines=(line,))


@asynccontextmanager
async def open_sale(database: str, temporal: str, kind: Kind) -> AsyncIterator[Saga]:
    async with open_worker(database, temporal) as (store, client):
        if kind == "hot":
            await open_books(store)
        for sale in range(SALES):
            for sku, quantity in articles(kind, sale).items():
                await put_on_the_shelf(store, SHOP, sku, quantity)

        async def saga(number: int) -> None:
            result = await check_out(client, order(kind, number))
            if result.ending not in {"completed", "refused"}:
                raise RuntimeError(f"order {number}: {result}")

        yield saga


if __name__ == "__main__":
    contend(open_sale)

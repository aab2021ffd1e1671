"""A row that is mended while an answer is read: the answer is of before, and says so, or of after.
The retry comes between each two statements of the request in turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.util import await_only

from tests.api.conftest import House
from tests.api.poison import heal, mend, poison
from tests.api.shop import Shop, eventually

MODEL = "stock_level"
WHY = {"actor": "ann", "reason": "the data is whole again"}
MOST = 12
"""Statements of an answer, at the most."""


@pytest.fixture(autouse=True)
async def _nothing_is_left_parked(house: House) -> AsyncIterator[None]:
    yield
    await heal(house)


@asynccontextmanager
async def before_statement(
    house: House, number: int, do: Callable[[], Awaitable[None]]
) -> AsyncIterator[list[str]]:
    """Does it once, before the statement with this number from here on, and answers them."""
    seen: list[str] = []
    busy = False

    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal busy
        if busy:
            return
        seen.append(statement)
        if len(seen) == number:
            busy = True
            await_only(do())
            busy = False

    engine = house.engine.sync_engine
    event.listen(engine, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)


def received_of(row: dict[str, Any]) -> int:
    return int(row["received"])


async def row_is_marked_or_fresh(
    api: httpx.AsyncClient, shop: Shop, stream: str, fresh: int
) -> bool:
    answer = await api.get(f"/merchants/{shop.merchant}/stock/{shop.sku}")
    return "Handrail-Parked" in answer.headers or received_of(answer.json()) == fresh


async def list_is_marked_or_fresh(
    api: httpx.AsyncClient, shop: Shop, stream: str, fresh: int
) -> bool:
    answer = (await api.get(f"/merchants/{shop.merchant}/stock")).json()
    [row] = answer["items"]
    return bool(answer["parked"]) or received_of(row) == fresh


async def page_says_it_waits_or_is_done(
    api: httpx.AsyncClient, shop: Shop, stream: str, fresh: int
) -> bool:
    answer = await api.get(f"/read-models/{MODEL}/parked", params={"stream": stream})
    is_done = any(one["state"] == "done" for one in answer.json()["retries"])
    return bool(answer.json()["items"]) != is_done


@pytest.mark.parametrize(
    "holds", [row_is_marked_or_fresh, list_is_marked_or_fresh, page_says_it_waits_or_is_done]
)
async def test_a_row_that_is_mended_in_the_middle_of_an_answer_is_old_and_marked_or_new(
    house: House,
    api: httpx.AsyncClient,
    shop: Shop,
    holds: Callable[[httpx.AsyncClient, Shop, str, int], Awaitable[bool]],
) -> None:
    stream = f"stock-{shop.merchant}:{shop.sku}"
    path = f"/merchants/{shop.merchant}/stock/{shop.sku}"
    first = received = received_of(
        (await api.get(path, headers={"Handrail-Token": shop.token})).json()
    )

    async def mended() -> None:
        await mend(house, stream)
        await api.post(f"/read-models/{MODEL}/parked/{stream}/retry", json=WHY)

        async def is_fresh() -> bool:
            found = await house.sql(
                "SELECT FROM parked_events WHERE projection = %s AND stream = %s", MODEL, stream
            )
            waits = await house.sql(
                "SELECT FROM retry_requests WHERE stream = %s AND settled_at IS NULL", stream
            )
            return not found and not waits

        await eventually(is_fresh, "the row is whole again")

    for number in range(1, MOST):
        await house.sql("DELETE FROM retry_requests WHERE stream = %s", stream)
        await poison(house, stream, "StockReceived", MODEL)
        received += first
        async with before_statement(house, number, mended) as statements:
            is_so = await holds(api, shop, stream, received)
        if len(statements) < number:
            assert number > 2, "the retry came between no two statements"
            return
        assert is_so, f"mended before {statements[number - 1]}"
    pytest.fail(f"an answer takes {MOST} statements")

"""Handrail's checkout: sagas started and worked on by one process, with the settings it ships."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from temporalio.client import Client

from benchmarks.contenders.answering import AgreeableBank, AgreeableCarrier, AgreeableRegistry
from benchmarks.contenders.books import open_books
from benchmarks.contenders.checkout_alone import CheckoutAlone
from benchmarks.contenders.orders import checkout
from benchmarks.contenders.turns import Saga, contend
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.processes.worker import with_saga_streams
from handrail.sagas.options import SagaResult
from handrail.temporal.client import connect, workers
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from runtime.options import options_of
from runtime.settings import ShopSettings
from workflows.checkout import Checkout


@asynccontextmanager
async def open_worker(database: str, temporal: str) -> AsyncIterator[tuple[EventStore, Client]]:
    """One process that works on everything, with other companies that answer at once."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(database, role="handrail_app", size=16))
        store = EventStore(pool, HANDRAIL.codec)
        client = await connect(temporal, "default", HANDRAIL.codec)
        companies = AgreeableBank(), AgreeableCarrier(), AgreeableRegistry()
        activities = with_saga_streams(of_contexts(store, None, *companies), store, HANDRAIL.codec)
        for worker in workers(
            client, activities, list(activities), workflows=[*HANDRAIL.all_workflows, CheckoutAlone]
        ):
            await stack.enter_async_context(worker)
        yield store, client


OPTIONS: Final = options_of(ShopSettings()).of(CheckoutAlone)


async def check_out(client: Client, order: Checkout) -> SagaResult:
    """With the options that the API starts it with by default."""
    result: SagaResult = await client.execute_workflow(
        CheckoutAlone.run,
        args=[order, OPTIONS, "customer", 1],
        id=order.order,
        task_queue="sagas",
    )
    return result


@asynccontextmanager
async def open_sagas(database: str, temporal: str) -> AsyncIterator[Saga]:
    async with open_worker(database, temporal) as (store, client):
        await open_books(store)

        async def saga(number: int) -> None:
            result = await check_out(client, checkout(number))
            if result.ending != "completed":
                raise RuntimeError(f"order {number}: {result}")

        yield saga


if __name__ == "__main__":
    contend(open_sagas)

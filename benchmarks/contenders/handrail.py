"""Handrail's checkout: sagas started and worked on by one process, with the settings it ships."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.contenders.answering import AgreeableBank, AgreeableCarrier, AgreeableRegistry
from benchmarks.contenders.books import open_books
from benchmarks.contenders.checkout_alone import CheckoutAlone
from benchmarks.contenders.orders import checkout
from benchmarks.contenders.turns import Saga, contend
from eventstore.messages import CODEC
from eventstore.pool import open_pool
from eventstore.store import EventStore
from runtime.api import options_of
from runtime.settings import Settings
from runtime.temporal import WORKFLOWS, connect, workers
from runtime.worker import all_activities
from workflows.messages import SagaResult


@asynccontextmanager
async def open_sagas(
    database: str, temporal: str, *, workflow: type[Any] = CheckoutAlone
) -> AsyncIterator[Saga]:
    settings = Settings()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(database, role="handrail_app", size=16))
        store = EventStore(pool, CODEC)
        await open_books(store)
        client = await connect(temporal, "default")
        activities = all_activities(store, AgreeableBank(), AgreeableCarrier(), AgreeableRegistry())
        for worker in workers(
            client, activities, list(activities), workflows=[*WORKFLOWS, CheckoutAlone]
        ):
            await stack.enter_async_context(worker)
        options = options_of(settings).of(workflow)

        async def saga(number: int) -> None:
            order = checkout(number)
            result: SagaResult = await client.execute_workflow(
                workflow.run,
                args=[order, options, "customer", 1],
                id=order.order,
                task_queue="sagas",
                result_type=SagaResult,
            )
            if result.ending != "completed":
                raise RuntimeError(f"{order.order}: {result}")

        yield saga


if __name__ == "__main__":
    contend(open_sagas)

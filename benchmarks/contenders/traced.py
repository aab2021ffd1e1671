"""Handrail's checkout as its worker runs it, each begun by a request that may be traced."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from opentelemetry.context import Context
from temporalio.client import Client

from benchmarks.contenders.answering import AgreeableBank, AgreeableCarrier, AgreeableRegistry
from benchmarks.contenders.books import open_books
from benchmarks.contenders.checkout_alone import CheckoutAlone
from benchmarks.contenders.handrail import OPTIONS
from benchmarks.contenders.orders import checkout
from benchmarks.contenders.turns import Saga, contend
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore, VersionConflict
from handrail.processes.worker import with_saga_streams
from handrail.temporal.client import data_converter, workers
from handrail.tracing import export, spans, temporal
from runtime.activities import of_contexts
from runtime.app import HANDRAIL


@asynccontextmanager
async def open_sagas(
    database: str, address: str, collector: str, ratio: str
) -> AsyncIterator[Saga]:
    """`collector` is empty where nothing is exported; `ratio` is the share of traces to sample."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
    os.environ["OTEL_TRACES_SAMPLER"] = "parentbased_traceidratio"
    os.environ["OTEL_TRACES_SAMPLER_ARG"] = ratio
    export.start("bench")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(database, role="handrail_app", size=16))
        store = EventStore(pool, HANDRAIL.codec)
        client = await Client.connect(
            address,
            data_converter=data_converter(HANDRAIL.codec),
            interceptors=temporal.interceptors(),
        )
        companies = AgreeableBank(), AgreeableCarrier(), AgreeableRegistry()
        activities = with_saga_streams(of_contexts(store, None, *companies), store, HANDRAIL.codec)
        workflows = [*HANDRAIL.all_workflows, CheckoutAlone]
        prefix = f"{os.getpid()}."  # the contenders share a server, and do none of the others' work
        for worker in workers(
            client, activities, list(activities), workflows=workflows, queue_prefix=prefix
        ):
            await stack.enter_async_context(worker)
        with suppress(VersionConflict):  # another contender has opened them
            await open_books(store)

        async def saga(number: int) -> None:
            order = checkout(number)
            with spans.started("POST /orders", Context(), kind=spans.SERVER):
                options = replace(OPTIONS, queue_prefix=prefix, traceparent=spans.traceparent())
                handle = await client.start_workflow(
                    CheckoutAlone.run,
                    args=[order, options, "customer", 1],
                    id=order.order,
                    task_queue=prefix + "sagas",
                )
            result = await handle.result()
            if result.ending != "completed":
                raise RuntimeError(f"order {number}: {result}")

        yield saga


if __name__ == "__main__":
    contend(open_sagas)

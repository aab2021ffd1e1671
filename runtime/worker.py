"""The worker process: sagas and their steps."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities import credit, inventory, ordering, queries
from activities.payments import activities as payments
from activities.payments.gateway import Bank, HttpBank
from activities.settlement import activities as settlement
from activities.settlement.gateway import HttpRegistry, Registry
from activities.shipping import activities as shipping
from activities.shipping.gateway import Carrier, HttpCarrier
from handrail.activities import saga_recorder
from handrail.activities.http_gateway import Outside, open_session
from handrail.connections import store_engine, store_pool
from handrail.eventstore.store import EventStore
from handrail.processes import intervention_targets
from handrail.readiness import ready
from handrail.settings import Settings, require
from handrail.temporal.client import Activities, connect, workers
from runtime import payable_reader
from runtime.app import HANDRAIL


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then finish what has begun."""
    require(settings, "database_url", "temporal_address", "bank_url", "carrier_url", "registry_url")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            store_pool(settings, size=16, name="handrail worker")
        )
        session = await stack.enter_async_context(open_session())

        def company(url: str | None, seconds: float) -> Outside:
            return Outside(session, url or "", connect_seconds=seconds, read_seconds=seconds)

        store = EventStore(pool, HANDRAIL.codec)
        activities = all_activities(
            store,
            HttpBank(company(settings.bank_url, settings.bank_timeout_seconds)),
            HttpCarrier(company(settings.carrier_url, settings.carrier_timeout_seconds)),
            HttpRegistry(company(settings.registry_url, settings.registry_timeout_seconds)),
        )
        client = await connect(
            cast("str", settings.temporal_address), settings.temporal_namespace, HANDRAIL.codec
        )
        engine = await stack.enter_async_context(
            store_engine(settings, size=2, name="handrail worker board")
        )
        activities = with_read_models(activities, store, client, engine)
        for worker in workers(
            client,
            activities,
            settings.worker_contexts,
            workflows=HANDRAIL.all_workflows,
            queue_prefix=settings.task_queue_prefix,
            shutdown=timedelta(seconds=settings.shutdown_seconds),
        ):
            await stack.enter_async_context(worker)
        ready(settings)
        await stop.wait()


def with_read_models(
    activities: Activities, store: EventStore, client: Client, engine: AsyncEngine
) -> Activities:
    """Who looks at what is parked, or at balances, works where the sagas do."""
    more = [
        *intervention_targets.activities(store, client, engine),
        *payable_reader.activities(engine),
    ]
    return {**activities, "sagas": [*activities["sagas"], *more]}


def all_activities(
    store: EventStore, bank: Bank, carrier: Carrier, registry: Registry
) -> Activities:
    return {
        "sagas": [*saga_recorder.activities(store, HANDRAIL.codec), *queries.activities(store)],
        "ordering": ordering.activities(store),
        "inventory": inventory.activities(store),
        "credit": credit.activities(store),
        "payments": payments.activities(store, bank),
        "shipping": shipping.activities(store, carrier),
        "settlement": settlement.activities(store, registry),
    }

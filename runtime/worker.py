"""The worker process: sagas and their steps."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities import credit, inventory, ordering, payments, reading, sagas, settlement, shipping
from activities.outside import Outside, open_session
from activities.payments.gateway import Bank, HttpBank
from activities.settlement.gateway import HttpRegistry, Registry
from activities.shipping.gateway import Carrier, HttpCarrier
from eventstore.messages import CODEC
from eventstore.store import EventStore
from runtime import intervening, paying
from runtime.connecting import store_engine, store_pool
from runtime.ready import ready
from runtime.settings import Settings, require
from runtime.temporal import Activities, connect, workers


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

        store = EventStore(pool, CODEC)
        activities = all_activities(
            store,
            HttpBank(company(settings.bank_url, settings.bank_timeout_seconds)),
            HttpCarrier(company(settings.carrier_url, settings.carrier_timeout_seconds)),
            HttpRegistry(company(settings.registry_url, settings.registry_timeout_seconds)),
        )
        client = await connect(cast("str", settings.temporal_address), settings.temporal_namespace)
        engine = await stack.enter_async_context(
            store_engine(settings, size=2, name="handrail worker board")
        )
        activities = with_read_models(activities, store, client, engine)
        for worker in workers(
            client,
            activities,
            settings.worker_contexts,
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
    more = [*intervening.activities(store, client, engine), *paying.activities(engine)]
    return {**activities, "sagas": [*activities["sagas"], *more]}


def all_activities(
    store: EventStore, bank: Bank, carrier: Carrier, registry: Registry
) -> Activities:
    return {
        "sagas": [*sagas.activities(store), *reading.activities(store)],
        "ordering": ordering.activities(store),
        "inventory": inventory.activities(store),
        "credit": credit.activities(store),
        "payments": payments.activities(store, bank),
        "shipping": shipping.activities(store, carrier),
        "settlement": settlement.activities(store, registry),
    }

"""The worker process: sagas and their steps."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import cast

import httpx

from activities import credit, inventory, ordering, payments, sagas, settlement, shipping
from activities.payments.gateway import Bank, HttpBank
from activities.shipping.gateway import Carrier, HttpCarrier
from eventstore.messages import CODEC
from eventstore.pool import open_pool
from eventstore.store import EventStore
from runtime.ready import ready
from runtime.settings import Settings, require
from runtime.temporal import Activities, connect, workers


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then finish what has begun."""
    require(settings, "database_url", "temporal_address", "bank_url", "carrier_url")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(
                cast("str", settings.database_url),
                role=settings.database_role,
                size=16,
                name="handrail worker",
            )
        )
        bank = httpx.AsyncClient(base_url=settings.bank_url or "")
        carrier = httpx.AsyncClient(base_url=settings.carrier_url or "")
        activities = all_activities(
            EventStore(pool, CODEC),
            HttpBank(
                await stack.enter_async_context(bank),
                connect_seconds=settings.bank_timeout_seconds,
                read_seconds=settings.bank_timeout_seconds,
            ),
            HttpCarrier(
                await stack.enter_async_context(carrier),
                connect_seconds=settings.carrier_timeout_seconds,
                read_seconds=settings.carrier_timeout_seconds,
            ),
        )
        client = await connect(cast("str", settings.temporal_address), settings.temporal_namespace)
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


def all_activities(store: EventStore, bank: Bank, carrier: Carrier) -> Activities:
    return {
        "sagas": sagas.activities(store),
        "ordering": ordering.activities(store),
        "inventory": inventory.activities(store),
        "credit": credit.activities(store),
        "payments": payments.activities(store, bank),
        "shipping": shipping.activities(store, carrier),
        "settlement": settlement.activities(store),
    }

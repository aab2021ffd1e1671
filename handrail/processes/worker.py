"""The worker process: sagas and their steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from handrail.activities import proposals, read_ending, saga_recorder
from handrail.activities.http_gateway import open_session
from handrail.activities.resources import Resources
from handrail.app import App
from handrail.catalogue import SAGAS
from handrail.connections import store_engine, store_pool
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import EventStore
from handrail.eventstore.write_levels import WORKER
from handrail.processes import intervention_targets
from handrail.processes.announced import announced, of_pool
from handrail.processes.personal_texts import personal_texts
from handrail.processes.temporal_metrics import runtime_of
from handrail.readiness import ready
from handrail.refused_settings import require
from handrail.sagas.shapes import SagaShapes
from handrail.settings import Settings
from handrail.temporal.client import Activities, workers
from handrail.temporal.connection import api_key_renewed, connect, version_of


async def run(app: App, settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then finish what has begun."""
    require(settings, "database_url", "temporal_address", *app.addresses_of("worker"))
    workflows = app.all_workflows  # what is declared wrongly is refused before anything is begun
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            store_pool(settings, size=16, name="handrail worker")
        )
        outside = await stack.enter_async_context(open_session())
        client = await connect(settings, app.codec, runtime=runtime_of(settings))
        await stack.enter_async_context(api_key_renewed(client, settings))
        engine = await stack.enter_async_context(
            store_engine(settings, size=2, name="handrail worker board")
        )
        personal = await stack.enter_async_context(
            personal_texts(settings, declared=app.has_personal_fields, name="handrail worker keys")
        )
        store = EventStore(pool, app.codec, personal)
        resources = Resources(
            store=store, outside=outside, engine=engine, client=client, settings=settings
        )
        # A version begins sagas in shapes of its own: it bounds nobody.
        shapes = SagaShapes({}) if version_of(settings) else app.shapes
        await stack.enter_async_context(
            announced(of_pool(pool), app.codec, settings, WORKER, stop, shapes=shapes)
        )
        activities = with_saga_streams(app.activities(resources), store, app.codec)
        for worker in workers(
            client,
            with_boards(activities, store, client, engine, app.saga_board.table),
            settings.worker_contexts or app.context_names,
            workflows=workflows,
            queue_prefix=settings.task_queue_prefix,
            shutdown=timedelta(seconds=settings.shutdown_seconds),
            version=version_of(settings),
        ):
            await stack.enter_async_context(worker)
        ready(settings)
        await stop.wait()


def with_saga_streams(activities: Activities, store: EventStore, codec: Codec) -> Activities:
    """The activities of an app, and those that record and read the streams of its sagas."""
    more = [
        *saga_recorder.activities(store, codec),
        *read_ending.activities(store),
        *proposals.activities(store),
    ]
    return _beside_the_sagas(activities, more)


def with_boards(
    activities: Activities, store: EventStore, client: Client, engine: AsyncEngine, board: Table
) -> Activities:
    """Beside those: what looks at the board of sagas, to intervene in many of them."""
    more = intervention_targets.activities(store, client, engine, board)
    return _beside_the_sagas(activities, more)


def _beside_the_sagas(activities: Activities, more: Sequence[Callable[..., Any]]) -> Activities:
    return {**activities, SAGAS.name: [*activities.get(SAGAS.name, ()), *more]}

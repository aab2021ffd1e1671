"""The environment of a trial: an event store, Temporal, and workers whose activities can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Self
from unittest.mock import patch
from uuid import uuid4

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

import handrail.temporal.client
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import EventStore
from handrail.sagas.options import RunOptions
from handrail.temporal.client import Activities
from handrail.testing.faults import Faults, SometimesAway
from handrail.testing.task_loss import LosingTasks

OPTIONS: Final = RunOptions()
FIRST_TRY = 0.5  # seconds that another company is given beside the saga


@dataclass(kw_only=True)
class Environment:
    """`serve` makes the activities of the business, by the name of their context, on a store: new
    ones for each group of workers. `runner` runs its `workflows`, with `options` where a trial
    needs no others. `settings` are those that the activities were made with.
    """

    client: Client
    pool: Pool
    store: EventStore
    codec: Codec
    faults: Faults
    workflows: Sequence[type]
    serve: Callable[[EventStore], Activities]
    runner: WorkflowRunner
    options: RunOptions = OPTIONS
    settings: Any = None
    queue_prefix: str = ""
    lost: set[str] = field(default_factory=set)
    """The runs whose next workflow task fails, so that it is as if it had never been."""

    def elsewhere(self) -> Self:
        """The same environment with task queues of its own, which have no worker yet."""
        return replace(self, queue_prefix=f"{uuid4().hex[:8]}.")

    def activities(self) -> Activities:
        """The activities of each context, wrapped in the faults that a trial declares."""
        return {
            context: [self.faults.around(activity) for activity in group]
            for context, group in self.serve(self.store).items()
        }

    @asynccontextmanager
    async def at_work(self, **options: Any) -> AsyncIterator[None]:
        """Workers for all contexts, until the block ends; `options` are Temporal's."""
        quick = partial(
            Worker, sticky_queue_schedule_to_start_timeout=timedelta(seconds=1), **options
        )
        activities = self.activities()
        with patch.object(handrail.temporal.client, "Worker", quick):
            hired = handrail.temporal.client.workers(
                self.client,
                activities,
                list(activities),
                queue_prefix=self.queue_prefix,
                shutdown=timedelta(0),
                workflows=self.workflows,
                runner=LosingTasks(self.runner, self.lost),
            )
        async with AsyncExitStack() as stack:
            for worker in hired:
                await stack.enter_async_context(worker)
            yield


@dataclass(frozen=True, kw_only=True)
class Servers:
    """What the activities of a business are made from: Temporal, and a migrated database."""

    client: Client
    database: str


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A business that is ready for workers.

    `serve` makes the activities that serve its commands, on a store, and those of the sagas' own
    streams. `options` are its sagas' own run options; `settings` what it was opened with.
    """

    serve: Callable[[EventStore], Activities]
    options: RunOptions = OPTIONS
    settings: Any = None


def _as_it_is(_: str) -> None:
    """The tables of the library are all there are."""


@dataclass(frozen=True, kw_only=True)
class Business:
    """What a team's sagas run on; `business_of` makes the Business of an App.

    What `open` opens (sessions, simulators) stays open while its block lasts. `migrate` gets the
    URL of a database with the library's tables, and adds those of the business.
    """

    codec: Codec
    data_converter: DataConverter
    workflows: Sequence[type]
    runner: WorkflowRunner
    open: Callable[[Servers], AbstractAsyncContextManager[Opened]]
    migrate: Callable[[str], None] = _as_it_is


@asynccontextmanager
async def open_environment(
    business: Business, database: str, temporal: WorkflowEnvironment
) -> AsyncIterator[Environment]:
    """Without workers: `at_work` is for that. `database` is the URL of a migrated database."""
    client = without_skipping(temporal, business.data_converter)
    async with (
        open_pool(database, role="handrail_app", size=10) as pool,
        business.open(Servers(client=client, database=database)) as opened,
    ):
        store = SometimesAway(pool, business.codec)
        faults = Faults(store)
        yield Environment(
            client=client,
            pool=pool,
            store=store,
            codec=business.codec,
            faults=faults,
            workflows=business.workflows,
            serve=opened.serve,
            runner=business.runner,
            options=opened.options,
            settings=opened.settings,
        ).elsewhere()
        await faults.open_all()


def without_skipping(temporal: WorkflowEnvironment, converter: DataConverter) -> Client:
    """Not the environment's own client, which makes workflows skip time: what another company and
    a local activity take is real time.
    """
    return Client(temporal.client.service_client, data_converter=converter)

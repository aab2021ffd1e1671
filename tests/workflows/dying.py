"""A worker of a process of its own, which the kernel kills once a step or a record was committed.

Nothing of its workflow task is in Temporal's history then, and everything is in the stores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import ClientSession
from psycopg import conninfo
from temporalio import activity
from temporalio.client import Client

from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from handrail.activities.http_gateway import HttpGateway
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.processes.worker import with_saga_streams
from handrail.sagas.step_keys import Answer, StepContext
from handrail.temporal.client import workers
from handrail.testing.faults import A_LONG_TIME, Fault, Faults
from handrail.testing.running_saga import Running
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from tests.temporal import DATA_CONVERTER, SANDBOX
from tests.world import world_of

READY: Final = b"ready"
ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the process is told: where everything is, and when it dies."""

    temporal: str
    database: str
    bank: str
    carrier: str
    registry: str
    queue_prefix: str
    saga: str
    dies_after: str
    breaks_a_rule_at: str


@dataclass(frozen=True)
class Dying:
    process: asyncio.subprocess.Process

    async def is_dead(self) -> None:
        async with asyncio.timeout(A_LONG_TIME):
            assert await self.process.wait() == -signal.SIGKILL


@asynccontextmanager
async def a_worker_that_dies(
    saga: Running, *, after: str, breaks_a_rule_at: str = ""
) -> AsyncIterator[Dying]:
    """At work where the saga is, until the step or record `after` of it was committed."""
    world = world_of(saga)
    database = conninfo.conninfo_to_dict(str(world.pool.conninfo))
    database.pop("options", None)
    orders = Orders(
        temporal=world.client.service_client.config.target_host,
        database=conninfo.make_conninfo("", **{k: v for k, v in database.items() if v is not None}),
        bank=str(world.bank.base_url),
        carrier=str(world.carrier.base_url),
        registry=str(world.registry.base_url),
        queue_prefix=world.queue_prefix,
        saga=saga.id,
        dies_after=after,
        breaks_a_rule_at=breaks_a_rule_at,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        orjson.dumps(asdict(orders)).decode(),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(A_LONG_TIME):
            assert (await process.stdout.readline()).strip() == READY
        yield Dying(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def dies(orders: Orders, serve: Callable[..., Any]) -> Callable[..., Any]:
    """The activity, after which the process is gone where it was told so."""
    found = activity._Definition.must_from_callable(serve)
    if StepContext not in (found.arg_types or []):
        return serve

    @activity.defn(name=found.name)
    async def run(asked: Any, context: StepContext) -> Answer:
        answer: Answer = await serve(asked, context)
        if (context.key.saga, context.key.step) == (orders.saga, orders.dies_after):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    # The converter reads what an activity takes and answers from there.
    run.__annotations__ = dict(serve.__annotations__)
    return run


async def work(orders: Orders) -> None:
    async with (
        open_pool(orders.database, role="handrail_app", size=5) as pool,
        ClientSession() as session,
    ):
        store = EventStore(pool, HANDRAIL.codec)
        faults = Faults(store)
        if orders.breaks_a_rule_at:
            told = Fault(breaks_a_rule=True)
            faults.told[orders.saga, orders.breaks_a_rule_at, "do"] = told
        companies = (
            HttpBank(HttpGateway(session, orders.bank)),
            HttpCarrier(HttpGateway(session, orders.carrier)),
            HttpRegistry(HttpGateway(session, orders.registry)),
        )
        every = with_saga_streams(of_contexts(store, None, *companies), store, HANDRAIL.codec)
        activities = {
            context: [dies(orders, faults.around(one)) for one in group]
            for context, group in every.items()
        }
        client = await Client.connect(orders.temporal, data_converter=DATA_CONVERTER)
        hired = workers(
            client,
            activities,
            list(activities),
            workflows=HANDRAIL.all_workflows,
            queue_prefix=orders.queue_prefix,
            shutdown=timedelta(0),
            runner=SANDBOX,
        )
        sys.stdout.write(f"{READY.decode()}\n")
        sys.stdout.flush()
        await asyncio.gather(*(worker.run() for worker in hired))


if __name__ == "__main__":
    asyncio.run(work(Orders(**orjson.loads(sys.argv[1]))))

"""A world to run sagas in: a real store, a real Temporal, and other companies over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
from aiohttp import ClientSession, TCPConnector
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import handrail.temporal.client
from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from domain.credit.events import LimitAssigned
from domain.inventory.events import StockReceived
from domain.ordering.events import OrderLine
from domain.settlement.events import MerchantAccountOpened
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import EventStore
from handrail.kernel import stream_name
from handrail.processes.worker import with_saga_streams
from handrail.simulators.in_process import served
from handrail.temporal.client import Activities
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from runtime.simulators.registry import create_registry
from tests.controls import a_customer, a_line, a_merchant, an_order, eur
from tests.temporal import DATA_CONVERTER, SANDBOX
from tests.unencrypted import a_client, company
from tests.workflows.faults import Faults, SometimesAway
from tests.workflows.losing import LosingTasks
from tests.workflows.ordered import Ordered, Placement, a_checkout
from workflows.options import ShopOptions

IN_STOCK = 10
FIRST_TRY = 0.5  # seconds that another company is given beside the saga

# Between two tests nobody looks at a connection that the other side has closed.
ONE_REQUEST_EACH = httpx.Limits(max_keepalive_connections=0)


def one_request_each() -> ClientSession:
    return ClientSession(connector=TCPConnector(force_close=True))


@dataclass
class World:
    client: Client
    pool: Pool
    store: EventStore
    bank: httpx.AsyncClient
    carrier: httpx.AsyncClient
    registry: httpx.AsyncClient
    session: ClientSession
    faults: Faults
    queue_prefix: str
    lost: set[str] = field(default_factory=set)
    """The runs whose next workflow task fails, so that it is as if it had never been."""

    @property
    def _companies(self) -> tuple[HttpBank, HttpCarrier, HttpRegistry]:
        return (
            HttpBank(company(self.session, self.bank)),
            HttpCarrier(company(self.session, self.carrier)),
            HttpRegistry(company(self.session, self.registry)),
        )

    async def an_order(
        self,
        steps: Placement = "local",
        *,
        card: str = "card_ok",
        ship_to: str = "addr_ok",
        stock: int = IN_STOCK,
        limit: int = 10_000_00,
        deadline: float = 30,
        patience: float = 300,
        first_try: float = FIRST_TRY,
        line: OrderLine | None = None,
    ) -> Ordered:
        """Nothing in it is used by another order, so that orders can run side by side."""
        merchant, customer, line = a_merchant(), a_customer(), line or a_line()
        placed = an_order(merchant=merchant, customer=customer, lines=(line,))
        received = StockReceived(
            merchant=merchant,
            sku=line.sku,
            delivery="first",
            quantity=stock,
            available=stock,
            reserved=0,
        )
        assigned = LimitAssigned(customer=customer, limit=eur(limit), held=eur(0), used=eur(0))
        opened = MerchantAccountOpened(merchant=merchant, currency="EUR", fee_bps=250)
        await self.store.append(
            [
                (stream_name("stock", f"{merchant}:{line.sku}"), 0, [received]),
                (stream_name("credit", customer), 0, [assigned]),
                (stream_name("merchant", merchant), 0, [opened]),
            ]
        )
        checkout = a_checkout(placed, card=card, ship_to=ship_to)
        options = ShopOptions(
            steps=steps,
            queue_prefix=self.queue_prefix,
            first_try_seconds=first_try,
            deadline_seconds=deadline,
            patience_seconds=patience,
        )
        return Ordered(
            world=self, id=placed.order, input=checkout, options=options, stock_before=stock
        )

    def elsewhere(self) -> World:
        """The same world with task queues of its own, where nobody works yet."""
        return replace(self, queue_prefix=f"{uuid4().hex[:8]}.")

    def activities(self) -> Activities:
        """Those of each context, with what is told to go wrong with them."""
        every = with_saga_streams(
            of_contexts(self.store, None, *self._companies), self.store, HANDRAIL.codec
        )
        return {
            context: [self.faults.around(one) for one in group] for context, group in every.items()
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
                workflows=HANDRAIL.all_workflows,
                queue_prefix=self.queue_prefix,
                shutdown=timedelta(0),
                runner=LosingTasks(SANDBOX, self.lost),
            )
        async with AsyncExitStack() as stack:
            for worker in hired:
                await stack.enter_async_context(worker)
            yield


@asynccontextmanager
async def open_world(database: str, temporal: WorkflowEnvironment) -> AsyncIterator[World]:
    """Without workers: `at_work` is for that."""
    async with (
        open_pool(database, role="handrail_app", size=10) as pool,
        served(create_bank(None)) as bank_url,
        served(create_carrier(None)) as carrier_url,
        served(create_registry(None)) as registry_url,
        a_client(bank_url, limits=ONE_REQUEST_EACH) as bank,
        a_client(carrier_url, limits=ONE_REQUEST_EACH) as carrier,
        a_client(registry_url, limits=ONE_REQUEST_EACH) as registry,
        one_request_each() as session,
    ):
        store = SometimesAway(pool, HANDRAIL.codec)
        # Not the environment's own client, which makes workflows skip time: what another company
        # and a local activity take is real time.
        client = Client(temporal.client.service_client, data_converter=DATA_CONVERTER)
        faults = Faults(store)
        world = World(
            client, pool, store, bank, carrier, registry, session, faults, queue_prefix=""
        )
        yield world.elsewhere()
        await faults.open_all()

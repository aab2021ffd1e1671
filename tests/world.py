"""A world to run sagas in: a real store, a real Temporal, and other companies over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from aiohttp import ClientSession, TCPConnector
from temporalio.testing import WorkflowEnvironment

from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from domain.credit.events import LimitAssigned
from domain.inventory.events import StockReceived
from domain.ordering.events import OrderLine
from domain.settlement.events import MerchantAccountOpened
from handrail.eventstore.pool import open_pool
from handrail.kernel import stream_name
from handrail.processes.worker import with_saga_streams
from handrail.simulators.in_process import served
from handrail.testing.environment import FIRST_TRY, Environment, without_skipping
from handrail.testing.faults import Faults, SometimesAway
from handrail.testing.running_saga import Running
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from runtime.simulators.registry import create_registry
from tests.controls import a_customer, a_line, a_merchant, an_order, eur
from tests.temporal import DATA_CONVERTER, SANDBOX
from tests.unencrypted import a_client, company
from tests.workflows.ordered import Ordered, Placement, a_checkout
from workflows.options import ShopOptions

IN_STOCK = 10

# Between two tests nobody looks at a connection that the other side has closed.
ONE_REQUEST_EACH = httpx.Limits(max_keepalive_connections=0)


def one_request_each() -> ClientSession:
    return ClientSession(connector=TCPConnector(force_close=True))


@dataclass(kw_only=True)
class World(Environment):
    bank: httpx.AsyncClient
    carrier: httpx.AsyncClient
    registry: httpx.AsyncClient
    session: ClientSession

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
        faults = Faults(store)
        companies = (
            HttpBank(company(session, bank)),
            HttpCarrier(company(session, carrier)),
            HttpRegistry(company(session, registry)),
        )
        world = World(
            client=without_skipping(temporal, DATA_CONVERTER),
            pool=pool,
            store=store,
            codec=HANDRAIL.codec,
            faults=faults,
            workflows=HANDRAIL.all_workflows,
            serve=lambda store: with_saga_streams(
                of_contexts(store, None, *companies), store, HANDRAIL.codec
            ),
            runner=SANDBOX,
            bank=bank,
            carrier=carrier,
            registry=registry,
            session=session,
        )
        yield world.elsewhere()
        await faults.open_all()


def world_of(saga: Running) -> World:
    """With the companies that the shop asks."""
    assert isinstance(saga.world, World)
    return saga.world

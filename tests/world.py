"""A world to run sagas in: a real store, a real Temporal, a bank and a carrier over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import uuid4

import httpx
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.payments.gateway import HttpBank
from activities.shipping.gateway import HttpCarrier
from domain.credit.events import LimitAssigned
from domain.inventory.events import StockReceived
from domain.kernel import stream_name
from domain.ordering.commands import PlaceOrder
from domain.sagas.events import Direction, SagaParked
from domain.settlement.events import MerchantAccountOpened
from eventstore.messages import CODEC
from eventstore.pool import Pool, open_pool
from eventstore.store import EventStore
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from runtime.simulators.in_process import served
from runtime.temporal import DATA_CONVERTER, Activities, workers
from runtime.worker import all_activities
from tests.controls import a_line, a_merchant, a_customer, an_order, eur
from tests.workflows.books import Books, assert_clean_slate, read_books
from tests.workflows.faults import ALWAYS, Fault, Faults, Gate
from workflows.checkout import Checkout, CheckoutWorkflow
from workflows.messages import Cancellation, Decision, Intervention, RunOptions, SagaResult

Placement = Literal["local", "queues"]
IN_STOCK = 10
A_LONG_TIME = 30.0  # seconds: a test that waits longer for anything has failed


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for what another process does; there is nothing to listen to."""
    deadline = time.monotonic() + A_LONG_TIME
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.02)


def a_checkout(
    order: PlaceOrder, *, card: str = "card_ok", ship_to: str = "addr_ok"
) -> Checkout:
    return Checkout(
        order=order.order,
        customer=order.customer,
        merchant=order.merchant,
        lines=order.lines,
        total=order.total,
        instalments=order.instalments,
        card=card,
        ship_to=ship_to,
        placed_at=order.placed_at,
    )


@dataclass
class World:
    client: Client
    pool: Pool
    store: EventStore
    activities: Activities
    bank: httpx.AsyncClient
    carrier: httpx.AsyncClient
    faults: Faults
    queue_prefix: str

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
    ) -> Ordered:
        """Nothing in it is used by another order, so that orders can run side by side."""
        merchant, customer, line = a_merchant(), a_customer(), a_line()
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
        options = RunOptions(
            steps=steps,
            queue_prefix=self.queue_prefix,
            deadline_seconds=deadline,
            patience_seconds=patience,
        )
        return Ordered(self, checkout, options, stock)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Sequence[Worker]]:
        """Workers for all contexts, until the block ends."""
        async with AsyncExitStack() as stack:
            hired = workers(
                self.client,
                self.activities,
                list(self.activities),
                queue_prefix=self.queue_prefix,
                shutdown=timedelta(0),
            )
            for worker in hired:
                await stack.enter_async_context(worker)
            yield hired


@asynccontextmanager
async def open_world(database: str, temporal: WorkflowEnvironment) -> AsyncIterator[World]:
    """Without workers: `at_work` is for that."""
    async with (
        open_pool(database, role="handrail_app", size=10) as pool,
        served(create_bank(None)) as bank_url,
        served(create_carrier(None)) as carrier_url,
        httpx.AsyncClient(base_url=bank_url) as bank,
        httpx.AsyncClient(base_url=carrier_url) as carrier,
    ):
        faults = Faults()
        store = EventStore(pool, CODEC)
        activities = {
            context: [faults.around(one) for one in group]
            for context, group in all_activities(store, HttpBank(bank), HttpCarrier(carrier)).items()
        }
        config = temporal.client.config()
        config["data_converter"] = DATA_CONVERTER
        prefix = f"{uuid4().hex[:8]}."
        yield World(Client(**config), pool, store, activities, bank, carrier, faults, prefix)
        await faults.open_all()


@dataclass
class Ordered:
    """One order in the world: what is to happen to it, and what happened."""

    world: World
    checkout: Checkout
    options: RunOptions
    stock_before: int
    _said: int = field(default=0)

    @property
    def id(self) -> str:
        return self.checkout.order

    # What is to happen.

    def fault(self, step: str, direction: Direction = "do") -> Fault:
        return self.world.faults.told.setdefault((self.id, step, direction), Fault())

    def fails(self, step: str, direction: Direction = "do", *, tries: float = ALWAYS) -> Fault:
        fault = self.fault(step, direction)
        fault.fails = tries
        return fault

    def loses_the_answer(
        self, step: str, direction: Direction = "do", *, tries: float = ALWAYS
    ) -> Fault:
        fault = self.fault(step, direction)
        fault.loses = tries
        return fault

    def is_delivered_twice(self, step: str, direction: Direction = "do") -> None:
        self.fault(step, direction).twice = True

    def breaks_a_rule(self, step: str) -> None:
        self.fault(step).breaks_a_rule = True

    def is_held(self, step: str, direction: Direction = "do") -> Gate:
        gate = self.fault(step, direction).gate = Gate()
        return gate

    def recovers(self, step: str, direction: Direction = "do") -> None:
        self.world.faults.told.pop((self.id, step, direction))

    # What people do.

    @property
    def handle(self) -> WorkflowHandle[CheckoutWorkflow, SagaResult]:
        return self.world.client.get_workflow_handle_for(CheckoutWorkflow.run, self.id)

    async def starts(self) -> None:
        await self.world.client.start_workflow(
            CheckoutWorkflow.run,
            args=[self.checkout, self.options, "customer"],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
        )

    async def asks_for_the_decision(self, request: str = "first") -> Decision:
        """Starts the saga, or joins the one that runs."""
        operation = WithStartWorkflowOperation(
            CheckoutWorkflow.run,
            args=[self.checkout, self.options, "customer"],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await self.world.client.execute_update_with_start_workflow(
            CheckoutWorkflow.decision, start_workflow_operation=operation, id=request
        )

    async def is_cancelled_by_the_customer(self) -> None:
        wish = Cancellation(actor="customer", reason="changed my mind")
        await self.handle.execute_update(CheckoutWorkflow.cancel, wish)

    async def is_cancelled_by_temporal(self, *, times: int = 1) -> None:
        for _ in range(times):
            await self.handle.cancel()

    async def is_told(
        self, kind: Literal["retry", "compensate"], step: str = "", *, intervention: str = ""
    ) -> None:
        """By an operator, whose interventions each have an id of their own."""
        self._said += 1
        told = Intervention(
            id=intervention or f"{self.id}-{self._said}",
            kind=kind,
            actor="operator",
            reason="looked into it",
            step=step,
        )
        await self.handle.execute_update(CheckoutWorkflow.intervene, told)

    # What happened.

    async def books(self) -> Books:
        world = self.world
        return await read_books(world.pool, world.bank, world.carrier, self.checkout)

    async def parks(self, step: str, *, times: int = 1) -> None:
        async def parked() -> bool:
            return len((await self.books()).told(SagaParked, step)) >= times

        await eventually(parked, f"{step} is parked")

    async def ends(self) -> WorkflowExecutionStatus:
        try:
            async with asyncio.timeout(A_LONG_TIME):
                await self.handle.result()
        except WorkflowFailureError as failure:
            if isinstance(failure.cause, CancelledError):
                return WorkflowExecutionStatus.CANCELED
            return WorkflowExecutionStatus.FAILED
        return WorkflowExecutionStatus.COMPLETED

    async def leaves_a_clean_slate(self) -> Books:
        """The books, which are in order."""
        books = await self.books()
        assert_clean_slate(books, stock_before=self.stock_before)
        return books

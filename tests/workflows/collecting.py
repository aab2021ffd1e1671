"""A plan in the world, and how it is collected: its months may pass in a moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from domain.credit.commands import AssignLimit, ConsumeCredit, HoldCredit
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import OpenPlan
from domain.payments.due_dates import months_after
from domain.payments.plan_state import InstalmentPlan
from handrail.kernel import Event, Money, stream_name
from handrail.sagas.options import RunOptions
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import eventually
from runtime.app import HANDRAIL
from tests.controls import a_customer, a_merchant, an_order_id, eur
from tests.temporal import DATA_CONVERTER
from tests.workflows.asked import does, reads
from tests.workflows.ordered import TODAY
from tests.world import World
from workflows import collect_instalment, plan_collection
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.dunning import Terms
from workflows.plan_collection import CollectInstalments, Progress
from workflows.plan_wishes import NewDate, PayAllNow

EventT = TypeVar("EventT", bound=Event)
LIMIT = eur(1_000_00)
IN_A_MONTH = months_after(TODAY.date(), 1)
AS_USUAL = Terms()


def skipping_time(world: World, temporal: WorkflowEnvironment) -> World:
    """The same world, in which what is begun does not wait for timers."""
    config = temporal.client.config()
    config["data_converter"] = DATA_CONVERTER
    return replace(world, client=Client(**config))


async def told(world: World, stream: str, kind: type[EventT]) -> list[EventT]:
    """The events of a kind in a stream."""
    async with world.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT type, schema, data FROM events WHERE stream = %s AND type = %s"
            " ORDER BY version",
            (stream, kind.__name__),
        )
        return [HANDRAIL.codec.decode(*row) for row in await rows.fetchall()]


@dataclass(eq=False, kw_only=True)
class Plan:
    world: World
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    options: RunOptions

    @property
    def id(self) -> str:
        return plan_collection.workflow_id(self.order)

    @property
    def handle(self) -> WorkflowHandle[Any, Progress]:
        return self.world.client.get_workflow_handle(self.id, result_type=Progress)

    async def is_collected(
        self, *, terms: Terms = AS_USUAL, progress: Progress | None = None
    ) -> None:
        """From now on, until nothing is due any more."""
        asked = CollectInstalments(
            order=self.order, customer=self.customer, merchant=self.merchant, terms=terms
        )
        await self.world.client.start_workflow(
            CollectInstalmentsWorkflow.run,
            args=[asked, self.options, "a test", progress],
            id=self.id,
            task_queue=f"{self.world.queue_prefix}sagas",
        )

    async def ends(self) -> InstalmentPlan:
        async with asyncio.timeout(A_LONG_TIME):
            await self.handle.result()
        return await self.stands()

    async def is_read(self) -> None:
        async def read() -> bool:
            progress = await self.handle.query(CollectInstalmentsWorkflow.progress)
            return progress.plan is not None

        await eventually(read, f"{self.id} knows its plan")

    async def is_to_be_paid(self, card: str = "") -> None:
        wish = PayAllNow(actor="customer", card=card)
        await self.handle.execute_update(CollectInstalmentsWorkflow.settle_early, wish)

    async def is_moved(self, number: int, due: date, wish: str = "first") -> None:
        new = NewDate(id=wish, number=number, due=due, actor="customer")
        await self.handle.execute_update("reschedule", new)

    async def stands(self) -> InstalmentPlan:
        return await reads(self.world, "ReadPlan", [self.order], InstalmentPlan)

    async def told(self, kind: type[EventT]) -> list[EventT]:
        return await told(self.world, stream_name("plan", self.order), kind)

    async def asked_for_on(self, number: int) -> list[date]:
        """The days on which an instalment was asked for, by the clock of the process.

        Exact for two runs: then a server that skips time lets those that continue begin too late.
        """
        saga, days, run = collect_instalment.saga_id(self.order, number), [], ""
        while True:
            handle = self.world.client.get_workflow_handle(self.id, run_id=run or None)
            history = await handle.fetch_history()
            for event in reversed(history.events):
                child = event.start_child_workflow_execution_initiated_event_attributes
                if child.workflow_id == saga:
                    days.append(event.event_time.ToDatetime().date())
            started = history.events[0].workflow_execution_started_event_attributes
            if not (run := started.continued_execution_run_id):
                return days[::-1]

    async def charges(self) -> list[Money]:
        ledger = (await self.world.bank.get("/ledger")).json()
        return [
            Money(one["amount"], one["currency"])
            for one in ledger["charges"]
            if one["order"] == self.order and one["state"] == "captured"
        ]


async def a_plan(
    world: World,
    *,
    instalments: int = 3,
    card: str = "card_ok",
    first_due: date = IN_A_MONTH,
    patience: float = 300,
) -> Plan:
    """Of instalments of 10 euros each; nobody collects it yet."""
    plan = Plan(
        world=world,
        order=an_order_id(),
        customer=a_customer(),
        merchant=a_merchant(),
        options=RunOptions(queue_prefix=world.queue_prefix, patience_seconds=patience),
    )
    order, customer, financed = plan.order, plan.customer, eur(10_00) * instalments
    await does(world, AssignLimit(customer=customer, limit=LIMIT))
    await does(world, HoldCredit(customer=customer, order=order, amount=financed))
    await does(world, ConsumeCredit(customer=customer, order=order))
    await does(
        world,
        OpenPlan(
            order=order,
            customer=customer,
            financed=financed,
            instalments=instalments,
            card=card,
            first_due=first_due,
        ),
    )
    return plan

"""A run pays every merchant who is owed enough, and none of them waits for another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from domain.identifiers import MerchantId
from domain.settlement.commands import AccruePayable, OpenMerchantAccount
from handrail.kernel import Attribution, Money
from handrail.sagas.options import RunOptions
from tests.api.delivery import Contexts
from tests.api.shop import eventually, problem, read, settled
from tests.controls import a_merchant, an_order_id
from tests.workflows.asked import does
from workflows import pay_merchants
from workflows.pay_merchants import WISHES_A_RUN, PayMerchants, PayMerchantsWorkflow, Progress

_ranks = itertools.count(7)
LOOKED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
TOLD = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
BEGUN = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
OFFICER = Attribution(actor="officer", reason="looks wrong")


@dataclass(frozen=True)
class Market:
    """Its merchants are owed so much more than others that a run at its minimum pays only them."""

    api: httpx.AsyncClient
    contexts: Contexts
    minimum: int

    async def merchant(self, name: str = "", *, owed: int = 0) -> str:
        """Without a name: one at whose payouts the bank does as it should."""
        merchant = MerchantId(name or a_merchant())
        opened = OpenMerchantAccount(merchant=merchant, currency="EUR", fee_bps=0)
        await does(self.contexts, opened)
        await self.sells(merchant, owed or self.minimum)
        return merchant

    async def sells(self, merchant: str, amount: int) -> None:
        gross = Money(amount, "EUR")
        accrue = AccruePayable(merchant=MerchantId(merchant), order=an_order_id(), gross=gross)
        before = await self.api.get(f"/merchants/{merchant}/balance")
        owed = before.json()["balance"]["amount"] if before.status_code == 200 else 0
        await does(self.contexts, accrue)
        await self.is_owed(merchant, owed + amount)

    async def is_owed(self, merchant: str, amount: int) -> None:
        path = f"/merchants/{merchant}/balance"
        await read(self.api, path, lambda found: found["balance"]["amount"] == amount)

    async def run(self, *, patience: float = 300, paused: bool = False) -> Run:
        options = RunOptions(
            queue_prefix=self.contexts.queue_prefix,
            deadline_seconds=min(patience, 30),
            patience_seconds=patience,
        )
        name = f"pay-merchants-{uuid4().hex}"
        start = WithStartWorkflowOperation(
            PayMerchantsWorkflow.run,
            args=[PayMerchants(minimum=self.minimum), options, "a test", None],
            id=name,
            task_queue=f"{self.contexts.queue_prefix}sagas",
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        # Either word arrives before the run does anything; a run that is not paused is not resumed.
        word = PayMerchantsWorkflow.pause if paused else PayMerchantsWorkflow.resume
        client = self.contexts.client
        await client.execute_update_with_start_workflow(
            word, OFFICER, start_workflow_operation=start
        )
        return Run(client.get_workflow_handle(name, result_type=Progress))


@dataclass(frozen=True)
class Run:
    handle: WorkflowHandle[Any, Progress]

    async def progress(self) -> Progress:
        return await self.handle.query(PayMerchantsWorkflow.progress)

    async def history(self) -> list[EventType.ValueType]:
        return [one.event_type async for one in self.handle.fetch_history_events()]

    async def places(self, kind: EventType.ValueType) -> list[int]:
        return [place for place, one in enumerate(await self.history()) if one == kind]


@pytest.fixture
def market(api: httpx.AsyncClient, contexts: Contexts) -> Market:
    return Market(api, contexts, 10 ** next(_ranks))


async def test_the_run_of_today_pays_all_who_are_owed_enough(market: Market) -> None:
    merchants = [await market.merchant() for _ in range(3)]
    poorer = await market.merchant(owed=market.minimum - 1)
    begun = await market.api.post("/payouts", json={"minimum": market.minimum})
    assert begun.status_code == 202, begun.text
    path = begun.headers["Location"]
    ended = await read(market.api, path, lambda found: found["status"] == "ended")
    assert (ended["found"], ended["paid"], ended["remaining"]) == (3, 3, 0)
    assert ended["amounts"] == [{"amount": 3 * market.minimum, "currency": "EUR"}]
    for merchant in merchants:
        await market.is_owed(merchant, 0)
        saga = await settled(market.api, f"payout-{ended['day']}-{merchant}", "completed")
        assert saga["at_stake"] == {"amount": market.minimum, "currency": "EUR"}
    await market.is_owed(poorer, market.minimum - 1)
    again = await market.api.post("/payouts", json={"minimum": market.minimum})
    assert (again.status_code, again.headers["Location"]) == (202, path)
    other = await market.api.post("/payouts", json={"minimum": 1})
    assert f"at least {market.minimum}" in problem(other, 409, "content-differs")["detail"]
    assert other.headers["Location"] == path
    problem(await market.api.post(f"{path}/pause", json={"reason": "late"}), 409, "saga-ended")


async def test_of_a_day_without_a_run_there_is_nothing_to_tell(api: httpx.AsyncClient) -> None:
    problem(await api.get("/payouts/1999-12-31"), 404, "not-found")


async def test_whom_the_bank_refuses_is_owed_as_before_and_the_others_are_paid(
    market: Market,
) -> None:
    refused = await market.merchant(f"{a_merchant()}-payout_declined")
    await market.merchant()
    ended = await (await market.run()).handle.result()
    assert (ended.paid, ended.refused, ended.remaining) == (1, 1, 0)
    await market.is_owed(refused, market.minimum)


@pytest.mark.thorough
async def test_a_payout_that_parks_holds_nobody_up_and_waits_for_a_person(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pay_merchants, "AT_ONCE", 1)
    parked = await market.merchant(f"a-{a_merchant()}-payout_broken")
    await market.merchant()
    ended = await (await market.run(patience=0.5)).handle.result()
    assert (ended.paid, ended.parked, ended.remaining) == (1, 1, 0)
    saga = await settled(market.api, f"payout-{ended.day}-{parked}", "parked")
    assert saga["step"] == "TransferPayout"


@pytest.mark.thorough
async def test_who_is_told_more_than_one_run_takes_goes_on_as_the_next(market: Market) -> None:
    await market.merchant()
    run = await market.run(paused=True)
    first = (await run.handle.describe()).run_id
    for _ in range(WISHES_A_RUN):
        await run.handle.execute_update(PayMerchantsWorkflow.pause, OFFICER)

    async def goes_on() -> bool | None:
        return (await run.handle.describe()).run_id != first or None

    await eventually(goes_on, "it goes on as a new run")
    now = await run.progress()
    assert (now.paused, now.paid, now.found) == (OFFICER, 0, 1)
    await run.handle.execute_update(PayMerchantsWorkflow.resume, OFFICER)
    ended = await run.handle.result()
    assert (ended.paid, ended.remaining) == (1, 0)


async def test_a_paused_run_begins_no_payout_until_it_is_resumed(market: Market) -> None:
    await market.merchant()
    run = await market.run(paused=True)

    async def knows_whom_to_pay() -> bool:
        return (await run.history()).count(LOOKED) == 2

    await eventually(knows_whom_to_pay, "counted and selected")
    assert (await run.progress()).paused == OFFICER
    await run.handle.execute_update(PayMerchantsWorkflow.resume, OFFICER)
    ended = await run.handle.result()
    assert (ended.paid, ended.paused) == (1, None)
    [paused, resumed], [begun] = await run.places(TOLD), await run.places(BEGUN)
    assert paused < resumed < begun


async def test_a_merchant_is_paid_once_a_day(market: Market) -> None:
    merchant = await market.merchant()
    assert (await (await market.run()).handle.result()).paid == 1
    await market.is_owed(merchant, 0)
    await market.sells(merchant, market.minimum)
    again = await (await market.run()).handle.result()
    assert (again.paid, again.before) == (0, 1)
    await market.is_owed(merchant, market.minimum)


@pytest.mark.thorough
async def test_many_merchants_are_paid_over_several_runs_of_the_workflow(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pay_merchants, "PAGE", 2)
    monkeypatch.setattr(pay_merchants, "PAGES_A_RUN", 1)
    merchants = [await market.merchant() for _ in range(5)]
    run = await market.run()
    ended = await run.handle.result()
    assert (ended.found, ended.paid) == (5, 5)
    assert ended.amounts == {"EUR": 5 * market.minimum}
    described = await run.handle.describe()
    assert described.run_id != run.handle.first_execution_run_id
    for merchant in merchants:
        await market.is_owed(merchant, 0)

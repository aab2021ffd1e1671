"""Everything at once: workers are killed, sagas are terminated and begun again, people step in.

The order of events is never the same twice; what is thrown at whom is, for the same seed:
`JOURNEY_SEED=7 JOURNEY_ORDERS=300 python -m pytest -m journey -s tests/journeys/test_thrown.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from rich.console import Console
from temporalio.client import Client, WorkflowExecutionStatus

from handrail.dev.stack import Stack
from handrail.temporal.client import connect
from handrail.verify.feed_verifier import Witness
from runtime.app import HANDRAIL
from runtime.demo.consumers import consumed
from runtime.demo.customers import drive
from runtime.demo.scenario import Plan
from runtime.settings import ShopSettings
from runtime.verify import prove
from tests.journeys import books, fates, stories
from tests.journeys.calls import post, sagas, slug
from tests.journeys.fates import Fate
from tests.journeys.outcome import Outcome, Told
from tests.journeys.people import People
from tests.journeys.unrest import Terminations, kill_workers, let_a_month_pass, look_again

ORDERS: Final = int(os.environ.get("JOURNEY_ORDERS", "300"))
SEED: Final = int(os.environ.get("JOURNEY_SEED") or secrets.randbelow(1_000_000))
PER_SECOND: Final = 2.5
KILLED_EVERY: Final = 10.0  # seconds
ENDS_WITHIN: Final = 900.0  # seconds after the last customer, on a machine that is busy
OTHERS: Final = tuple(sorted(HANDRAIL.saga_types.keys() - {"Checkout"}))
"""Types of sagas that follow a checkout."""

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    settings = ShopSettings(
        data_dir=tmp_path_factory.mktemp("journey"),
        api_port=0,
        step_deadline_seconds=10,
        step_patience_seconds=10,
        review_above=300_00,
        review_seconds=30,
    )
    async with Stack(HANDRAIL, settings, workers=2, consumers=True, temporal_ui=False) as stack:
        yield stack


async def test_everything_adds_up_whatever_is_thrown_at_it(stack: Stack) -> None:
    _say(f"JOURNEY_SEED={SEED} JOURNEY_ORDERS={ORDERS}")
    began = time.monotonic()
    plan = fates.plan(orders=ORDERS, seed=SEED)
    # The merchants, their stock and the customers, and no order yet.
    shop = Plan(plan.merchants, plan.customers, ())
    await drive(stack.api_url, stack.database_url, shop, Console(stderr=True))
    temporal = await connect(
        stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
    )
    told, killed = Told(), list[int]()
    companies = stack.address_of("bank"), stack.address_of("carrier")
    limits = httpx.Limits(max_connections=100)
    async with (
        httpx.AsyncClient(base_url=stack.api_url, timeout=60, limits=limits) as client,
        Witness(stack.database_url) as witness,
    ):
        terminations = Terminations(temporal, client)
        people = People(client, *companies, terminations, SEED)
        async with _going_on(
            kill_workers(stack.workers, every=KILLED_EVERY, killed=killed),
            _look_again_and_again(people),
            _terminate_what_follows(terminations),
            _months_pass(temporal),
        ):
            await _all_ordered(client, terminations, fates.fates(plan, seed=SEED), told)
            # Of today: those merchants who are owed something by now.
            await post(client, "/payouts", {"minimum": 1})
            await asyncio.sleep(2 * KILLED_EVERY)
        for worker in stack.workers:
            if not worker.running:
                await worker.start()
        ordered = time.monotonic() - began
        people.calm = True
        await _all_end(client, people, terminations, told.orders)
        services = await consumed(stack.database_url)
        await witness.caught_up()
        board = {one["saga"]: one for one in await sagas(client)}
    outcome = Outcome(
        told=told,
        killed=killed,
        terminations=terminations,
        people=people,
        board=board,
        proof=await prove.prove(
            stack.database_url,
            stack.address_of("bank"),
            stack.address_of("carrier"),
            temporal,
            feed=True,
        ),
        books=await books.read(stack.database_url, *companies),
    )
    _say(
        f"{outcome}\n{round(ordered)} s for the orders, {round(time.monotonic() - began)} s in all"
    )
    wrong = outcome.wrong()
    for line in await stories.of(
        stack.database_url, [one for texts in wrong.values() for one in texts]
    ):
        _say(line)
    assert len(told.orders) == ORDERS
    assert wrong == {}
    assert outcome.books.totals(outcome.books.bank) == outcome.books.totals(outcome.books.finance)
    assert [one for one in services if not one.complete] == []
    assert list(witness.violations) == []


async def _all_ordered(
    client: httpx.AsyncClient, terminations: Terminations, of: Sequence[Fate], told: Told
) -> None:
    async with asyncio.TaskGroup() as group:
        for fate in of:
            group.create_task(_customer(client, terminations, fate, told))
            await asyncio.sleep(1 / PER_SECOND)


async def _customer(
    client: httpx.AsyncClient, terminations: Terminations, fate: Fate, told: Told
) -> None:
    headers = {"Idempotency-Key": fate.order.key, "Handrail-Actor": fate.order.body["customer"]}
    if fate.undisturbed:
        headers["Prefer"] = "wait=20"
    placed = (await post(client, "/orders", fate.order.body, headers)).json()
    order = placed["order"]
    told.orders.append(order)
    if "decision" in placed:
        told.decisions[order] = placed["decision"]
    async with asyncio.TaskGroup() as group:
        if fate.cancelled_after is not None:
            group.create_task(_cancel(client, order, fate.cancelled_after, told))
        if fate.terminated_after:
            group.create_task(_end_and_begin_again(terminations, order, fate))


async def _cancel(client: httpx.AsyncClient, order: str, after: float, told: Told) -> None:
    await asyncio.sleep(after)
    headers = {"Idempotency-Key": f"cancel-{order}"}
    body = {"reason": "the customer changed their mind"}
    answer = await post(client, f"/orders/{order}/cancellation", body, headers)
    told.cancellations[order] = slug(answer) if answer.is_error else answer.json()["status"]


async def _end_and_begin_again(terminations: Terminations, order: str, fate: Fate) -> None:
    for ends, again in zip(fate.terminated_after, fate.again_after, strict=True):
        await asyncio.sleep(ends)
        if not await terminations.terminate(order, "Checkout"):
            return
        await asyncio.sleep(again)
        if not await terminations.begin_again(order):
            return


async def _look_again_and_again(people: People) -> None:
    """Who waits for one answer does not keep the others from looking."""
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(people.look())
            await asyncio.sleep(1)


async def _terminate_what_follows(terminations: Terminations) -> None:
    chance = random.Random(SEED)
    while True:
        await terminations.any_of(OTHERS, chance)
        await asyncio.sleep(2)
        await terminations.clear_up()


async def _months_pass(temporal: Client) -> None:
    chance = random.Random(SEED)
    while True:
        await let_a_month_pass(temporal, chance)
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _going_on(*unrest: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """All of it, as long as the block; the first that fails ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in unrest]
        yield
        for one in tasks:
            one.cancel()


async def _all_end(
    client: httpx.AsyncClient, people: People, terminations: Terminations, orders: list[str]
) -> None:
    """Raises AssertionError, which says what does not, where some do not in time."""
    left: Mapping[str, Any] = {}
    began = time.monotonic()
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            while True:
                again = await terminations.clear_up()
                await look_again(terminations.temporal)
                waiting = await people.look()
                board = {one["saga"]: one for one in await sagas(client)}
                missing = [one for one in orders if one not in board]
                open_ = [saga for saga, one in board.items() if one["ended_at"] is None]
                running = await _running_checkouts(terminations)
                left = {
                    "again": again,
                    "waiting": waiting,
                    "missing": missing,
                    "open": open_,
                    "running": running,
                }
                _say(f"{round(time.monotonic() - began)} s later there are left: {left}")
                if not any(left.values()):
                    return
                await asyncio.sleep(2)
    except TimeoutError:
        raise AssertionError(f"they do not end: {left}") from None


async def _running_checkouts(terminations: Terminations) -> list[str]:
    query = 'WorkflowType = "Checkout" AND ExecutionStatus = "Running"'
    listed = [one.id async for one in terminations.temporal.list_workflows(query)]
    found = []
    for id_ in listed:
        described = await terminations.temporal.get_workflow_handle(id_).describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            found.append(id_)
    return found


def _say(line: str) -> None:
    """At once: where a journey stands is of interest while it goes on."""
    sys.stderr.write(f"{line}\n")

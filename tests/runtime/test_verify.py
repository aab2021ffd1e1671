"""`verify` over real stores: it reads page by page, and asks the companies and Temporal."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment

from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.kernel import Event
from handrail.sagas.events import SagaStarted
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.sagas.visibility import SAGA_STATUS
from handrail.simulators.in_process import served
from handrail.verify.evidence_reader import EVENTS_A_PAGE
from handrail.verify.feed_checks import feed_checks
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK
from handrail.verify.proof import KEPT, Proof
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from runtime.verify import companies
from runtime.verify.prove import prove
from runtime.verify.verification import NAMES
from tests.projections.world import World, a_world, until
from tests.runtime.stores import Happening
from tests.runtime.test_invariants import A_COMPLETED_ORDER, eur
from tests.runtime.test_invariants_of_payouts import A_PAYOUT, by_hand, transferred
from tests.temporal import DATA_CONVERTER
from tests.unencrypted import a_client

FEED_CHECKS = feed_checks(
    HANDRAIL.read_models, HANDRAIL.consumers, HANDRAIL.codec, HANDRAIL.event_ids
)
AT_ONCE = 50
EventT = TypeVar("EventT", bound=Event)


@pytest.fixture
async def world(database_with_read_models: str) -> AsyncIterator[World]:
    async with a_world(database_with_read_models) as one:
        yield one


async def happened(world: World, *story: Happening) -> None:
    for stream, event in story:
        await world.append(stream, event)


def wrong(proof: Proof) -> Mapping[str, Sequence[str]]:
    return {name: found for name, found in proof.violations.items() if found}


def numbered(happening: Happening, number: int) -> Happening:
    """The same of an order, a customer, a merchant and an item of their own."""
    stream, event = happening
    names = {"o1": f"o{number}", "c1": f"c{number}", "m1": f"m{number}"}
    category, _, id_ = stream.partition("-")
    fields = {name: names[one] for name, one in vars(event).items() if one in names.values()}
    fields |= {name: names[one] for name, one in vars(event).items() if str(one) in names}
    return f"{category}-{names.get(id_, f'm{number}:s1')}", replace(event, **fields)


async def many_orders(world: World, numbers: range) -> None:
    store = EventStore(world.pool, HANDRAIL.codec)
    for begin in numbers[::AT_ONCE]:
        streams: dict[str, list[Event]] = {}
        for number in range(begin, min(begin + AT_ONCE, numbers.stop)):
            for stream, event in (numbered(one, number) for one in A_COMPLETED_ORDER):
                streams.setdefault(stream, []).append(event)
        await store.append([(name, ANY_VERSION, events) for name, events in streams.items()])


async def peak_of(world: World) -> tuple[int, Proof]:
    """Bytes that Python holds at most, beyond what it held before."""
    tracemalloc.start()
    try:
        proof = await prove(world.url, None, None)
        return tracemalloc.get_traced_memory()[1], proof
    finally:
        tracemalloc.stop()


@pytest.mark.thorough
async def test_its_memory_does_not_grow_with_the_store(world: World) -> None:
    few, many = 200, 2_000
    await many_orders(world, range(few))
    await prove(world.url, None, None)  # what is kept for good is there
    of_few, proof = await peak_of(world)
    assert proof.events == few * len(A_COMPLETED_ORDER) > EVENTS_A_PAGE

    await many_orders(world, range(few, many))
    of_many, proof = await peak_of(world)

    assert proof.events == many * len(A_COMPLETED_ORDER)
    assert wrong(proof) == {}
    assert of_many < 1.3 * of_few


async def test_of_very_many_violations_all_are_counted_and_few_are_kept(world: World) -> None:
    orders = KEPT + 50
    paid = [one for one in A_COMPLETED_ORDER if not one[0].startswith("credit-")]
    for number in range(orders):
        streams: dict[str, list[Event]] = {}
        for stream, event in (numbered(one, number) for one in paid):
            streams.setdefault(stream, []).append(event)
        store = EventStore(world.pool, HANDRAIL.codec)
        await store.append([(name, ANY_VERSION, events) for name, events in streams.items()])

    found = (await prove(world.url, None, None)).findings["money_conserved"]

    assert (found.count, len(found.texts)) == (orders, KEPT)


@asynccontextmanager
async def a_bank() -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    async with served(create_bank(None)) as url, a_client(url) as client:
        yield url, client


async def paid_by(bank: httpx.AsyncClient, path: str, key: str, **asked: Any) -> httpx.Response:
    answer = await bank.post(
        path, json={"currency": "EUR", **asked}, headers={"Idempotency-Key": key}
    )
    assert answer.is_success
    return answer


async def captured_by(bank: httpx.AsyncClient, attempt: int = 1) -> None:
    key = f"o1/{attempt}"
    await paid_by(
        bank,
        "/authorisations",
        f"{key}/AuthoriseDownPayment/do",
        order="o1",
        amount=25,
        card="card_ok",
    )
    await paid_by(bank, "/captures", f"{key}/CapturePayment/do", order="o1", amount=25)


async def sent_by(bank: httpx.AsyncClient, amount: int) -> str:
    key = "payout-p1/1/TransferPayout/do"
    answer = await paid_by(bank, "/payouts", key, payout="p1", merchant="m1", amount=amount)
    return str(answer.json()["reference"])


def of_transfer(reference: str, cents: int = 97) -> Sequence[Happening]:
    """A payout of which the bank says so, and our books too."""
    event = replace(transferred[1], transfer=reference, amount=eur(cents))
    sent = (transferred[0], event)
    return [sent if one == transferred else one for one in A_PAYOUT]


async def test_books_that_agree_with_the_bank_are_as_they_should_be(world: World) -> None:
    async with a_bank() as (url, bank):
        await captured_by(bank)
        await happened(world, *of_transfer(await sent_by(bank, 97)))

        proof = await prove(world.url, url, None)

    assert wrong(proof) == {}
    assert set(proof.as_json()) == set(NAMES)


async def test_a_payout_of_a_million_is_seen_though_our_books_and_the_bank_agree(
    world: World,
) -> None:
    async with a_bank() as (url, bank):
        await captured_by(bank)
        reference = await sent_by(bank, 1_000_000_00)
        await happened(world, *of_transfer(reference, 1_000_000_00))

        found = wrong(await prove(world.url, url, None))

    assert set(found) == {"payouts_equal_prepared"}
    assert len(found["payouts_equal_prepared"]) == 2, "in our books, and at the bank"


async def test_money_that_was_captured_twice_is_seen(world: World) -> None:
    async with a_bank() as (url, bank):
        await captured_by(bank)
        await captured_by(bank, attempt=2)
        await happened(world, *A_COMPLETED_ORDER)

        found = wrong(await prove(world.url, url, None))

    assert set(found) == {"bank_agrees", "one_effect_per_step"}


async def test_money_that_the_bank_took_for_an_order_we_do_not_know_is_seen(world: World) -> None:
    async with a_bank() as (url, bank):
        await captured_by(bank)

        found = wrong(await prove(world.url, url, None))

    assert found == {"bank_agrees": ["order o1: the bank knows it, we do not"]}


async def test_what_came_to_the_bank_after_the_stores_were_read_is_not_wrong_yet(
    world: World,
) -> None:
    async with a_bank() as (url, bank):
        await captured_by(bank)
        started_since = [one for one in A_COMPLETED_ORDER if isinstance(one[1], SagaStarted)]

        entries_of_bank = companies.entries

        async def entries(address: str) -> AsyncIterator[tuple[str, companies.Entry]]:
            """Those of the bank, once the order has begun."""
            await happened(world, *started_since)
            async for entry in entries_of_bank(address):
                yield entry

        with patch.object(companies, "entries", entries):
            found = wrong(await prove(world.url, url, None))

    assert found == {}


async def test_what_a_person_answers_for_is_counted_and_shown_and_not_wrong(world: World) -> None:
    story = [one for one in A_PAYOUT if one != transferred]
    await happened(world, *story[:-1], by_hand("TransferPayout", "payout-p1"), story[-1])

    proof = await prove(world.url, None, None)

    assert proof.holds
    assert proof.explained() == {"payouts_equal_prepared": 1}
    [said] = proof.findings["payouts_equal_prepared"].explanations
    assert said.endswith("by hand, TransferPayout of saga payout-p1")


async def test_a_step_at_the_fence_that_no_saga_tells_of_is_seen(world: World) -> None:
    await happened(world, *A_COMPLETED_ORDER)
    key = StepKey(saga="o1", attempt=1, step="HoldCredit", opened_on=date(2026, 11, 1))
    store = EventStore(world.pool, HANDRAIL.codec)
    await store.append([], context=StepContext(key=key, actor="test"), answer={"status": "done"})

    found = wrong(await prove(world.url, None, None))

    assert found == {"steps_have_outcomes": ["step o1/1/HoldCredit/do is known to the fence only"]}


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ("UPDATE streams SET version = version + 1 WHERE name = 'order-o1'", "feed_once_in_order"),
        ("DELETE FROM streams WHERE name = 'order-o1'", "feed_once_in_order"),
        (
            "INSERT INTO state_snapshots VALUES ('order-o1', 'any', 1000, '{}')",
            "kept_states_have_their_events",
        ),
    ],
    ids=["a version", "a stream", "events that a kept state has"],
)
async def test_a_store_that_lost_something_is_seen(world: World, broken: str, name: str) -> None:
    await happened(world, *A_COMPLETED_ORDER)

    await world.sql(broken)

    assert name in wrong(await prove(world.url, None, None))


@pytest.fixture
async def client(temporal: WorkflowEnvironment) -> Client:
    config = temporal.client.config()
    config["data_converter"] = DATA_CONVERTER
    return Client(**config)


def of(number: int) -> Sequence[Happening]:
    return [numbered(one, number) for one in A_COMPLETED_ORDER]


async def begin(client: Client, id_: str, status: str = "running") -> WorkflowHandle[Any, Any]:
    """A process that runs: no worker is there to end it."""
    attributes = TypedSearchAttributes([SearchAttributePair(SAGA_STATUS, status)])
    return await client.start_workflow(
        "Process", id=id_, task_queue="of-no-worker", search_attributes=attributes
    )


async def test_a_plan_that_nobody_collects_is_seen(world: World, client: Client) -> None:
    await happened(world, *of(71), *of(72))
    collector = await begin(client, "plan-o71")

    found = wrong(await prove(world.url, None, None, client))

    await collector.terminate()
    assert found == {"processes_run": ["order o72: something is due, but plan-o72 does not run"]}


async def test_a_collector_that_was_terminated_is_seen(world: World, client: Client) -> None:
    await (await begin(client, "plan-o73")).terminate()
    await happened(world, *of(73))

    assert set(wrong(await prove(world.url, None, None, client))) == {"processes_run"}


async def test_a_saga_that_waits_in_temporal_and_not_on_the_board_is_seen(
    world: World, client: Client
) -> None:
    begun = [one for one in of(74) if isinstance(one[1], SagaStarted)]
    await happened(world, *begun)
    waiting = await begin(client, "o74", "parked")
    process = await begin(client, "delivery-o74", "parked")

    async def is_listed() -> bool:
        ids = [one.id async for one in client.list_workflows('SagaStatus = "parked"')]
        return {"o74", "delivery-o74"} <= set(ids)

    await until(is_listed)
    found = wrong(await prove(world.url, None, None, client))

    await waiting.terminate()
    await process.terminate()
    assert found == {"parked_in_temporal": ["saga o74: parked in Temporal, but not in its stream"]}


def test_every_invariant_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {
        *NAMES,
        *FEED_CHECKS,
        LAKE_CHECK,
    }

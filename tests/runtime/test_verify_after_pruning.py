"""`verify` over stores whose old rows were deleted: that is explained, and hides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from consumers import finance
from domain.credit.events import CreditHeld
from domain.identifiers import CustomerId, OrderId
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.messaging.consumers.store_consumer import catch_up
from handrail.sagas.events import SagaEnded, SagaStarted, StepCompensated, StepDone, StepUnknown
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.verify.proof import Proof
from runtime.app import HANDRAIL
from runtime.verify.prove import prove
from tests.projections.world import World, a_world
from tests.runtime.test_invariants import A_COMPLETED_ORDER, eur, started

TODAY = datetime.now(UTC).date()
LONG_AGO = TODAY - timedelta(days=800)
PRUNE = "SELECT maintain_partitions(1000000, interval '1 year')"


@pytest.fixture
async def world(database_with_read_models: str) -> AsyncIterator[World]:
    async with a_world(database_with_read_models) as one:
        yield one


def wrong(proof: Proof) -> Mapping[str, Sequence[str]]:
    return {name: found for name, found in proof.violations.items() if found}


async def a_saga(world: World, opened_on: date) -> None:
    """That was taken back: a step was done, and one that was unknown was shut before it came."""
    store = EventStore(world.pool, HANDRAIL.codec)
    told: dict[str, Any] = {"saga": "s1", "attempt": 1}
    begun: dict[str, Any] = vars(started[1]) | told | {"opened_on": opened_on}
    story = [
        SagaStarted(**begun),
        StepDone(**told, step="HoldCredit", outcome="CreditHeld"),
        StepUnknown(**told, step="AuthoriseDownPayment", direction="do", cause="no answer"),
        StepCompensated(**told, step="HoldCredit", outcome="CreditReleased"),
        SagaEnded(**told, ending="compensated", because="", reason=""),
    ]
    await store.append([("saga-s1", ANY_VERSION, story)])
    for step, direction in (("HoldCredit", "do"), ("HoldCredit", "undo")):
        key = StepKey(
            saga="s1",
            attempt=1,
            step=step,
            direction=direction,  # type: ignore[arg-type]  # one of the two
            opened_on=opened_on,
        )
        context = StepContext(key=key, actor="test")
        await store.append([], context=context, answer={"status": "done"})
    await world.sql(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, closed)"
        " VALUES (:day, 's1', 1, 'AuthoriseDownPayment', 'do', true)",
        day=opened_on,
    )


async def test_a_fence_that_was_deleted_after_its_retention_is_explained(world: World) -> None:
    await a_saga(world, LONG_AGO)
    before = await prove(world.url, None, None)
    assert (wrong(before), before.explained()) == ({}, {})
    await world.sql("UPDATE long_attempts SET written_on = opened_on")  # nothing came late
    await world.sql(PRUNE)
    assert await world.value("SELECT count(*) FROM commands WHERE saga = 's1'") == 0

    proof = await prove(world.url, None, None)

    assert wrong(proof) == {}
    assert proof.explained() == {"steps_have_outcomes": 3}
    said = proof.findings["steps_have_outcomes"].explanations
    assert all(f"the fence of {LONG_AGO:%Y-%m} was deleted" in one for one in said)


@pytest.mark.parametrize("day", [TODAY, TODAY - timedelta(days=300)])
async def test_a_fence_that_lost_what_it_has_to_keep_is_not_explained(
    world: World, day: date
) -> None:
    await a_saga(world, day)
    await world.sql("DELETE FROM commands WHERE saga = 's1'")

    assert set(wrong(await prove(world.url, None, None))) == {"steps_have_outcomes"}


async def test_an_old_month_that_is_still_there_explains_nothing(world: World) -> None:
    await world.sql(
        f"CREATE TABLE commands_{LONG_AGO:%Y_%m} PARTITION OF commands"
        f" FOR VALUES FROM ('{LONG_AGO:%Y-%m}-01') TO ('{LONG_AGO:%Y-%m}-28')"
    )
    await a_saga(world, LONG_AGO)
    await world.sql("DELETE FROM commands WHERE saga = 's1'")

    assert set(wrong(await prove(world.url, None, None))) == {"steps_have_outcomes"}


async def test_what_only_the_fence_knows_is_wrong_however_old_it_is(world: World) -> None:
    await a_saga(world, LONG_AGO)
    await world.sql("UPDATE commands SET step = 'ShipGoods' WHERE direction = 'undo'")
    await world.sql("UPDATE commands SET direction = 'do' WHERE direction = 'undo'")

    found = wrong(await prove(world.url, None, None))

    assert "step s1/1/ShipGoods/do is known to the fence only" in found["steps_have_outcomes"]


async def booked(world: World) -> None:
    """An order that finance has booked, and whose inbox was pruned since."""
    for stream, event in A_COMPLETED_ORDER:
        await world.append(stream, event)
    await catch_up(world.pool, finance.CONSUMER, HANDRAIL.codec)
    await world.sql("DELETE FROM inbox")


async def test_an_inbox_that_was_pruned_makes_nothing_wrong(world: World) -> None:
    await booked(world)

    assert wrong(await prove(world.url, None, None)) == {}


async def test_a_merchant_is_not_passed_over_because_its_events_are_old(world: World) -> None:
    await booked(world)
    await world.sql("DELETE FROM ledger_lines WHERE event LIKE 'merchant-m1/%'")

    found = wrong(await prove(world.url, None, None))

    assert any("merchant m1" in one for one in found["ledger_agrees"])


async def test_an_entry_of_what_finance_has_not_handled_is_wrong(world: World) -> None:
    await booked(world)
    await world.sql(
        "UPDATE checkpoints SET since = CAST('1:1:' AS pg_snapshot), until = NULL"
        " WHERE projection = :name",
        name=finance.CONSUMER.follower,
    )

    found = wrong(await prove(world.url, None, None))

    assert any("which finance has not handled" in one for one in found["ledger_agrees"])


async def test_a_message_that_was_discarded_still_explains_what_was_not_booked(
    world: World,
) -> None:
    await booked(world)
    await world.sql(
        """
        INSERT INTO parked_messages (consumer, stream, version, position, type, schema,
            recorded_at, metadata, data, cause, attempts, settled_at, settled_as, actor, reason)
        SELECT 'finance', stream, version, position, type, schema, recorded_at, metadata, data,
            'a cause', 1, now() - interval '2 years', 'discarded', 'ann', 'booked elsewhere'
        FROM events WHERE stream = 'merchant-m1' AND type = 'PayableAccrued'
        """
    )
    await world.sql("DELETE FROM ledger_lines WHERE event LIKE 'merchant-m1/%'")

    assert wrong(await prove(world.url, None, None)) == {}


async def test_a_row_that_stands_still_at_a_parked_event_is_reported_as_that(world: World) -> None:
    for stream, event in A_COMPLETED_ORDER:
        await world.append(stream, event)
    await world.append(
        "credit-c2",
        CreditHeld(
            customer=CustomerId("c2"), order=OrderId("o2"), amount=eur(1), held=eur(1), used=eur(0)
        ),
    )
    await world.catch_up()

    found = wrong(await prove(world.url, None, None))

    assert found["read_models_equal_fold"] == ["1 events wait in parked_events"]

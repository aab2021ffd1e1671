"""The fence: a step takes effect once, and never after its own compensation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import psycopg
import pytest

from handrail.eventstore.store import ANY_VERSION, Appended, EventStore, StepClosed, VersionConflict
from handrail.sagas.events import Direction
from handrail.sagas.step_keys import OVER, StepContext
from tests.eventstore.interleaving import Lab, notes, step, store_over
from tests.eventstore.wire import wire_to

DO, UNDO = step("HoldCredit"), step("HoldCredit", "undo", closes=["HoldCredit"])
ANSWER = {"outcome": "CreditHeld"}


async def _doors(lab: Lab) -> list[tuple[str, str, bool, bool]]:
    return await lab.rows(
        "SELECT step, direction, answer IS NOT NULL, closed FROM commands ORDER BY step, direction"
    )


async def test_asked_again_it_answers_what_it_answered_first_and_writes_nothing(lab: Lab) -> None:
    store = await lab.store()
    first = await store.append([("credit-1", 0, notes(1))], context=DO, answer=ANSWER)
    before = await lab.counts()
    again = await store.append([("credit-1", 7, notes(3))], context=DO, answer={"other": 1})
    assert again == Appended("repeated", ANSWER, first.token)
    assert await lab.counts() == before


async def test_a_duplicate_in_flight_waits_and_answers_the_first_answer(lab: Lab) -> None:
    one, two = await lab.writers(2)
    first = await one.append("credit-1", context=DO, answer=ANSWER)
    second = await lab.waits_until(
        two, two.append("credit-1", context=DO, answer={"other": 1}), one.commit
    )
    assert second == Appended("repeated", ANSWER, first.token)


async def test_a_duplicate_of_one_that_rolled_back_takes_effect_itself(lab: Lab) -> None:
    one, two = await lab.writers(2)
    await one.append("credit-1", context=DO)
    second = await lab.waits_until(two, two.append("credit-1", context=DO), one.rollback)
    await two.commit()
    assert second.status == "appended"
    assert (await lab.counts())["events"] == 1


async def test_undo_before_do_shuts_the_door(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("credit-1", 0, [])], context=UNDO)
    before = await lab.counts()
    with pytest.raises(StepClosed, match="checkout-1/1/HoldCredit/do"):
        await store.append([("credit-1", 0, notes(1))], context=DO)
    assert await lab.counts() == before


async def test_an_undo_that_was_done_by_hand_finds_its_own_door_shut(lab: Lab) -> None:
    store = await lab.store()
    by_hand = step("journal:resumed", closes=["HoldCredit/undo"])
    await store.append([("saga-1", 0, notes(1))], context=by_hand)
    before = await lab.counts()
    with pytest.raises(StepClosed, match="checkout-1/1/HoldCredit/undo"):
        await store.append([("credit-1", 0, notes(1))], context=UNDO)
    assert await lab.counts() == before
    assert ("HoldCredit", "undo", False, True) in await _doors(lab)


async def test_an_attempt_that_is_over_says_nothing_whatever_the_name(lab: Lab) -> None:
    store = await lab.store()
    await store.append([], context=step("journal:superseded:2", "undo", closes=[OVER]))
    before = await lab.counts()
    for key in (DO, step("journal:of-any-name")):
        with pytest.raises(StepClosed, match="attempt 1 of checkout-1 is over"):
            await store.append([("saga-1", ANY_VERSION, notes(1))], context=key)
    assert await lab.counts() == before
    undone = await store.append([("credit-1", 0, [])], context=UNDO)
    assert undone.status == "appended"


async def test_what_an_attempt_says_as_it_ends_is_seen_by_who_ends_it(lab: Lab) -> None:
    """It passed the fence before it was over: the one that follows has to look again."""
    saying, ending = await lab.writers(2)
    await saying.append("saga-1", context=step("journal:said"))
    over = step("journal:superseded:2", "undo", closes=[OVER])
    await ending.store.append([], context=over)
    await ending.commit()
    with pytest.raises(VersionConflict, match="saga-1 is at version 1, not 0"):
        await lab.waits_until(ending, ending.store.append([("saga-1", 0, notes(1))]), saying.commit)
    await ending.rollback()


async def test_what_an_attempt_says_after_it_was_ended_meanwhile_is_refused(lab: Lab) -> None:
    """It waits for the saga's stream, and looks whether it is over once it has it."""
    ending, saying = await lab.writers(2)
    over = step("journal:superseded:2", "undo", closes=[OVER])
    await ending.store.append([("saga-1", 0, notes(1))], context=over)
    said = saying.store.append([("saga-1", ANY_VERSION, notes(1))], context=step("journal:said"))
    with pytest.raises(StepClosed, match="is over"):
        await lab.waits_until(saying, said, ending.commit)
    await saying.rollback()


async def test_undo_waits_for_a_do_in_flight_and_then_has_to_decide_anew(lab: Lab) -> None:
    doing, undoing = await lab.writers(2)
    await doing.append("credit-1", context=DO)
    undo = undoing.store.append([("credit-1", 0, [])], context=UNDO)
    with pytest.raises(VersionConflict, match="credit-1 is at version 1, not 0"):
        await lab.waits_until(undoing, undo, doing.commit)
    await undoing.rollback()
    assert await _doors(lab) == [("HoldCredit", "do", True, False)]


async def test_undo_goes_on_when_the_do_in_flight_rolls_back(lab: Lab) -> None:
    doing, undoing = await lab.writers(2)
    await doing.append("credit-1", context=DO)
    undo = undoing.store.append([("credit-1", 0, [])], context=UNDO)
    await lab.waits_until(undoing, undo, doing.rollback)
    await undoing.commit()
    assert await _doors(lab) == [
        ("HoldCredit", "do", False, True),
        ("HoldCredit", "undo", True, False),
    ]


async def test_do_waits_for_an_undo_in_flight_and_finds_the_door_shut(lab: Lab) -> None:
    undoing, doing = await lab.writers(2)
    await undoing.store.append([("credit-1", 0, [])], context=UNDO)
    with pytest.raises(StepClosed):
        await lab.waits_until(doing, doing.append("credit-1", context=DO), undoing.commit)


async def test_do_goes_on_when_the_undo_in_flight_rolls_back(lab: Lab) -> None:
    undoing, doing = await lab.writers(2)
    await undoing.store.append([("credit-1", 0, [])], context=UNDO)
    done = await lab.waits_until(doing, doing.append("credit-1", context=DO), undoing.rollback)
    assert done.status == "appended"


async def test_undo_after_do_closes_it_and_keeps_its_answer(lab: Lab) -> None:
    store = await lab.store()
    await store.append([("credit-1", 0, notes(1))], context=DO, answer=ANSWER)
    await store.append([("credit-1", 1, notes(1))], context=UNDO)
    assert await _doors(lab) == [
        ("HoldCredit", "do", True, True),
        ("HoldCredit", "undo", True, False),
    ]
    late = await store.append([("credit-1", 2, notes(1))], context=DO)
    assert (late.status, late.answer) == ("repeated", ANSWER)


async def test_a_compensation_shuts_several_doors(lab: Lab) -> None:
    store = await lab.store()
    steps = ("HoldCredit", "ReserveStock", "BookShipment")
    await store.append([], context=step("Release", "undo", closes=[*steps, *steps]))
    for name in steps:
        with pytest.raises(StepClosed):
            await store.append([("credit-1", ANY_VERSION, notes(1))], context=step(name))


async def test_a_conflict_shuts_no_door(lab: Lab) -> None:
    store = await lab.store()
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", 9, [])], context=UNDO)
    assert await _doors(lab) == []


@pytest.mark.parametrize(
    "other",
    [step(attempt=2), step(saga="checkout-2"), step("ReserveStock"), step(direction="undo")],
)
async def test_another_attempt_saga_step_or_direction_is_another_door(
    lab: Lab, other: StepContext
) -> None:
    store = await lab.store()
    await store.append([("credit-1", 0, [])], context=step("Cancel", "undo", closes=["HoldCredit"]))
    done = await store.append([("credit-1", 0, notes(1))], context=other)
    assert done.status == "appended"


async def test_steps_that_shut_each_others_doors_do_not_deadlock(lab: Lab) -> None:
    """Held up at a third door, each would have its own and ask for the other's."""
    holder, one, other = await lab.writers(3)
    await holder.append("a-1", context=step("AA"))
    first = asyncio.create_task(one.store.append([], context=step("A", closes=["AA", "B"])))
    await lab.until_it_waits(one.pid)
    second = other.store.append([], context=step("B", closes=["A"]))

    async def let_both_go() -> None:
        await holder.rollback()
        await first
        await one.commit()

    with pytest.raises(StepClosed):
        await lab.waits_until(other, second, let_both_go)


async def test_who_lost_the_answer_asks_again_and_gets_it(lab: Lab) -> None:
    """The wire is cut between the commit and its answer: the outcome is unknown, but not lost."""
    async with wire_to(lab.url) as wire:
        connection = await psycopg.AsyncConnection.connect(wire.url, autocommit=True)
        wire.lose_next_answer = True
        with pytest.raises(psycopg.OperationalError):
            await store_over(connection).append(
                [("credit-1", 0, notes(1))], context=DO, answer=ANSWER
            )
        await connection.close()
    store = await lab.store()
    before = await lab.counts()
    again = await store.append([("credit-1", 0, notes(1))], context=DO)
    assert (again.status, again.answer) == ("repeated", ANSWER)
    assert await lab.counts() == before
    assert before["events"] == 1


async def test_many_appends_over_overlapping_streams_never_deadlock(lab: Lab) -> None:
    chance = random.Random(20261123)

    async def writer(store: EventStore) -> None:
        for turn in range(40):
            streams = chance.sample(range(6), k=chance.randint(1, 4))
            saga, name = f"s-{turn}", chance.choice("ABC")
            closes: Sequence[str] = chance.sample("ABC", k=chance.randint(0, 3))
            direction: Direction = "do" if chance.random() < 0.5 else "undo"
            appends = [(f"a-{stream}", ANY_VERSION, notes(1)) for stream in streams]
            try:
                await store.append(appends, context=step(name, direction, saga=saga, closes=closes))
            except StepClosed:
                continue

    stores = [await lab.store() for _ in range(12)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for store in stores:
            tasks.create_task(writer(store))
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await lab.value(deadlocks) == 0

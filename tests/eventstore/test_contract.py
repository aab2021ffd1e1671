"""What an event store promises its callers: of PostgreSQL, and of the one that the model uses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from handrail.eventstore.store import ANY_VERSION, EventStore, StepClosed, VersionConflict
from handrail.sagas.step_keys import OVER, StepContext
from tests.eventstore.interleaving import Lab, Noted, notes, step
from tests.model.store import MemoryStore

Store = EventStore | MemoryStore
ANSWER = {"status": "done", "outcome": "Noted"}


@pytest.fixture(params=["postgres", "memory"])
async def store(request: pytest.FixtureRequest, lab: Lab) -> Store:
    return MemoryStore() if request.param == "memory" else await lab.store()


async def _read(store: Store, stream: str) -> tuple[int, Sequence[Any]]:
    loaded = (await store.load({stream: 0}))[stream]
    return loaded.version, list(loaded.events)


async def test_a_stream_that_nobody_wrote_is_empty_at_version_0(store: Store) -> None:
    assert await _read(store, "credit-1") == (0, [])


async def test_what_was_appended_is_read_in_its_order(store: Store) -> None:
    await store.append([("credit-1", 0, notes(2))])
    await store.append([("credit-1", 2, [Noted(text="last")])])
    assert await _read(store, "credit-1") == (3, [*notes(2), Noted(text="last")])


async def test_only_what_came_after_a_version_is_read(store: Store) -> None:
    await store.append([("credit-1", 0, notes(3))])
    loaded = (await store.load({"credit-1": 2}))["credit-1"]
    assert (loaded.version, list(loaded.events)) == (3, notes(3)[2:])


async def test_any_version_takes_what_is_there(store: Store) -> None:
    await store.append([("credit-1", 0, notes(1))])
    await store.append([("credit-1", ANY_VERSION, notes(1))])
    assert (await _read(store, "credit-1"))[0] == 2


@pytest.mark.parametrize("expected", [0, 2, -1])
async def test_another_version_than_expected_is_a_conflict(store: Store, expected: int) -> None:
    await store.append([("credit-1", 0, notes(1))])
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", expected, notes(1))])
    assert (await _read(store, "credit-1"))[0] == 1


async def test_a_stream_without_new_events_is_only_compared(store: Store) -> None:
    await store.append([("credit-1", 0, [])])
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", 1, [])])


async def test_several_streams_move_together_or_not_at_all(store: Store) -> None:
    await store.append([("credit-1", 0, notes(1)), ("stock-1", 0, notes(2))])
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", 1, notes(1)), ("stock-1", 0, notes(1))])
    assert [(await _read(store, one))[0] for one in ("credit-1", "stock-1")] == [1, 2]


async def test_a_stream_cannot_be_given_twice(store: Store) -> None:
    with pytest.raises(ValueError, match="twice"):
        await store.append([("credit-1", 0, notes(1)), ("credit-1", 1, notes(1))])


async def test_what_is_appended_first_is_answered_as_it_was_given(store: Store) -> None:
    appended = await store.append([("credit-1", 0, notes(1))], context=step(), answer=ANSWER)
    assert (appended.status, appended.answer) == ("appended", ANSWER)


async def test_the_same_key_is_answered_what_it_was_first_and_changes_nothing(store: Store) -> None:
    first = await store.append([("credit-1", 0, notes(1))], context=step(), answer=ANSWER)
    again = await store.append([("credit-1", 7, notes(3))], context=step(), answer={"other": 1})
    assert (again.status, again.answer, again.token) == ("repeated", ANSWER, first.token)
    assert (await _read(store, "credit-1"))[0] == 1


async def test_a_key_that_met_a_conflict_was_not_passed(store: Store) -> None:
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", 1, notes(1))], context=step())
    assert (await store.append([("credit-1", 0, notes(1))], context=step())).status == "appended"


async def test_without_an_answer_an_empty_one_is_kept(store: Store) -> None:
    await store.append([], context=step())
    assert (await store.append([], context=step())).answer == {}


async def test_each_ask_attempt_direction_and_saga_has_a_key_of_its_own(store: Store) -> None:
    first = step()
    others = [
        replace(first, key=replace(first.key, ask=2)),
        step(attempt=2),
        step(direction="undo"),
        step(saga="checkout-2"),
        step("Other"),
    ]
    for context in [first, *others]:
        assert (await store.append([], context=context)).status == "appended"


async def test_a_door_that_is_closed_before_anybody_came_lets_nobody_in(store: Store) -> None:
    await store.append([], context=step(direction="undo", closes=["HoldCredit"]))
    with pytest.raises(StepClosed):
        await store.append([("credit-1", 0, notes(1))], context=step(), answer=ANSWER)
    assert await _read(store, "credit-1") == (0, [])


async def test_a_door_that_is_closed_behind_a_step_still_answers_what_it_answered(
    store: Store,
) -> None:
    first = await store.append([("credit-1", 0, notes(1))], context=step(), answer=ANSWER)
    await store.append([], context=step(direction="undo", closes=["HoldCredit"]))
    again = await store.append([], context=step())
    assert (again.status, again.answer, again.token) == ("repeated", ANSWER, first.token)


async def test_a_door_is_closed_for_the_ask_that_is_named_alone(store: Store) -> None:
    await store.append([], context=step("journal:x", closes=["HoldCredit~2"]))
    assert (await store.append([], context=step())).status == "appended"
    anew = replace(step(), key=replace(step().key, ask=2))
    with pytest.raises(StepClosed):
        await store.append([], context=anew)


async def test_who_meets_a_conflict_closes_nothing(store: Store) -> None:
    with pytest.raises(VersionConflict):
        await store.append([("credit-1", 3, [])], context=step("journal:x", closes=["HoldCredit"]))
    assert (await store.append([], context=step())).status == "appended"


async def test_who_was_answered_before_closes_nothing_more(store: Store) -> None:
    await store.append([], context=step("journal:x"))
    await store.append([], context=step("journal:x", closes=["HoldCredit"]))
    assert (await store.append([], context=step())).status == "appended"


async def test_an_attempt_that_is_over_lets_no_forward_key_in_whatever_its_name(
    store: Store,
) -> None:
    await store.append([], context=step("journal:superseded:2", "undo", closes=[OVER]))
    for name in ("HoldCredit", "journal:anything"):
        with pytest.raises(StepClosed):
            await store.append([("saga-1", ANY_VERSION, notes(1))], context=step(name))
    assert await _read(store, "saga-1") == (0, [])


async def test_an_attempt_that_is_over_is_still_taken_back(store: Store) -> None:
    await store.append([], context=step("journal:superseded:2", "undo", closes=[OVER]))
    undo = step(direction="undo", closes=["HoldCredit"])
    assert (await store.append([("credit-1", 0, notes(1))], context=undo)).status == "appended"


async def test_an_attempt_that_is_over_still_answers_what_it_answered(store: Store) -> None:
    await store.append([], context=step(), answer=ANSWER)
    await store.append([], context=step("journal:superseded:2", "undo", closes=[OVER]))
    assert (await store.append([], context=step())).answer == ANSWER


async def test_that_an_attempt_is_over_says_nothing_of_the_next(store: Store) -> None:
    await store.append([], context=step("journal:superseded:2", "undo", closes=[OVER]))
    assert (await store.append([], context=step(attempt=2))).status == "appended"


@pytest.mark.parametrize("seed", range(5))
async def test_both_answer_the_same_whatever_they_are_asked(lab: Lab, seed: int) -> None:
    real, memory = await lab.store(), MemoryStore()
    luck = random.Random(seed)
    for _ in range(150):
        appends, context, answer = _anything(luck)
        assert await _said(real, appends, context, answer) == await _said(
            memory, appends, context, answer
        )
    for stream in STREAMS:
        assert await _read(real, stream) == await _read(memory, stream)


STREAMS = ("credit-1", "saga-1", "stock-1")


def _anything(luck: random.Random) -> tuple[Any, StepContext | None, Any]:
    streams = luck.sample(STREAMS, luck.randint(0, 3))
    appends = [
        (one, luck.choice([ANY_VERSION, ANY_VERSION, *range(6)]), notes(luck.randint(0, 2)))
        for one in streams
    ]
    if luck.random() < 0.1:
        return appends, None, None
    names = ["HoldCredit", "ReserveStock", "journal:x"]
    context = step(
        luck.choice(names),
        luck.choice(["do", "do", "undo"]),
        attempt=luck.randint(1, 4),
        closes=luck.sample([*names, "HoldCredit~2", OVER], luck.choice([0, 0, 0, 1, 2])),
    )
    context = replace(context, key=replace(context.key, ask=luck.choice([1, 1, 2])))
    return appends, context, luck.choice([None, {"outcome": str(luck.randint(0, 9))}])


async def _said(store: Store, appends: Any, context: StepContext | None, answer: Any) -> Any:
    try:
        appended = await store.append(appends, context=context, answer=answer)
    except (StepClosed, VersionConflict) as no:
        return type(no)
    return appended.status, appended.answer

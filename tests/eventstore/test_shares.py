from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.eventstore.checkpoints import Checkpoint, Held
from handrail.eventstore.feed import BEGINNING
from handrail.eventstore.subscriptions.shard_assignment import plan

NAMES = ("orders", "stock")
WORKERS = ("a", "b", "c")


def held(owners: Sequence[str | None], names: Sequence[str] = NAMES) -> list[Held]:
    """One owner a shard; None is free."""
    return [
        Held(Checkpoint(name, shard, BEGINNING, 0), owner, owner is None)
        for shard, owner in enumerate(owners)
        for name in names
    ]


def shards(checkpoints: Sequence[Checkpoint]) -> list[int]:
    return sorted({one.shard for one in checkpoints})


def test_the_only_one_takes_all() -> None:
    wanted = plan(held([None] * 4), "a", ["a"])

    assert (shards(wanted.take), shards(wanted.give_back)) == ([0, 1, 2, 3], [])
    assert len(wanted.take) == 8


def test_who_has_too_much_gives_back_whole_shards() -> None:
    wanted = plan(held(["a"] * 4), "a", ["a", "b"])

    assert (shards(wanted.take), shards(wanted.give_back)) == ([], [2, 3])
    assert len(wanted.give_back) == 4


def test_who_comes_second_takes_what_is_free_and_no_more() -> None:
    assert shards(plan(held(["a", "a", None, None]), "b", ["a", "b"]).take) == [2, 3]
    assert shards(plan(held([None] * 4), "b", ["a", "b"]).take) == [1, 3]


def test_nobody_takes_what_somebody_alive_has() -> None:
    assert not plan(held(["a"] * 4), "b", ["a", "b"]).take


def test_what_ran_out_is_taken_over() -> None:
    gone = [Held(one.checkpoint, "dead", free=True) for one in held(["dead"] * 2)]

    assert shards(plan(gone, "a", ["a"]).take) == [0, 1]


def test_a_new_read_model_goes_to_those_who_read_its_shards() -> None:
    everything = held(["a", "b"]) + held([None, None], ["new"])

    assert shards(plan(everything, "a", ["a", "b"]).take) == [0]
    assert shards(plan(everything, "b", ["a", "b"]).take) == [1]


def test_shards_that_nobody_reads_come_before_those_that_somebody_reads_in_part() -> None:
    everything = held(["a", "a", None, None]) + held([None] * 4, ["new"])

    assert shards(plan(everything, "b", ["a", "b"]).take) == [2, 3]


def test_what_the_owner_of_a_shard_leaves_alone_is_taken_by_who_has_room() -> None:
    everything = held(["old", "old"]) + held([None, None], ["new"])

    assert shards(plan(everything, "a", ["a"]).take) == [0, 1]


def test_a_shard_that_two_got_a_part_of_is_kept_by_the_first_of_them() -> None:
    """Both claimed at the same moment, and each was faster with some of the checkpoints."""
    everything = held(["a", None]) + held(["b", None], ["others"])

    assert shards(plan(everything, "a", ["a", "b"]).give_back) == []
    assert shards(plan(everything, "b", ["a", "b"]).give_back) == [0]
    assert shards(plan(everything, "b", ["a", "b"]).take) == [1]


def test_who_reads_other_models_of_a_shard_is_no_rival() -> None:
    everything = held(["before"]) + held(["new"], ["changed"])

    assert not plan(everything, "new", ["new"]).give_back


Owners = dict[tuple[str, int], str | None]
OWNERS = st.fixed_dictionaries(
    {(name, shard): st.sampled_from([*WORKERS, None]) for name in NAMES for shard in range(16)}
)


@pytest.mark.quick(1)
@pytest.mark.parametrize("count", [1, 2, 3])
@given(start=OWNERS, together=st.booleans(), faster=st.randoms(use_true_random=False))
def test_whatever_the_start_all_soon_have_the_same_and_nothing_is_free(
    count: int,
    start: Owners,
    together: bool,  # noqa: FBT001  # hypothesis gives it by name
    faster: Random,
) -> None:
    """One after the other, or all at once, each being faster than the others now and then."""
    workers = WORKERS[:count]
    owners = dict(start)
    turns = [workers] if together else [[worker] for worker in workers]
    for turn in turns * 3:
        everything = [
            Held(Checkpoint(name, shard, BEGINNING, 0), owner, owner not in workers)
            for (name, shard), owner in sorted(owners.items(), key=lambda one: one[0])
        ]
        plans = {worker: plan(everything, worker, workers) for worker in turn}
        for wanted in plans.values():
            owners |= {one.key: None for one in wanted.give_back}
        for key in sorted({one.key for wanted in plans.values() for one in wanted.take}):
            who = [one for one in turn if key in {taken.key for taken in plans[one].take}]
            owners[key] = faster.choice(who)

    assert set(owners.values()) == set(workers)
    for worker in workers:
        mine = {shard for (_, shard), owner in owners.items() if owner == worker}
        assert len(mine) <= -(-16 // count)
    for shard in range(16):
        assert len({owners[name, shard] for name in NAMES}) == 1

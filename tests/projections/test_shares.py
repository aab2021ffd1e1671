from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.checkpoints import Checkpoint, Held
from eventstore.feed import BEGINNING
from projections.shares import plan

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
    wanted = plan(held([None] * 4), "a", 1)

    assert (shards(wanted.take), shards(wanted.give_back)) == ([0, 1, 2, 3], [])
    assert len(wanted.take) == 8


def test_who_has_too_much_gives_back_whole_shards() -> None:
    wanted = plan(held(["a"] * 4), "a", 2)

    assert (shards(wanted.take), shards(wanted.give_back)) == ([], [2, 3])
    assert len(wanted.give_back) == 4


def test_who_comes_second_takes_what_is_free_and_no_more() -> None:
    assert shards(plan(held(["a", "a", None, None]), "b", 2).take) == [2, 3]
    assert shards(plan(held([None] * 4), "b", 2).take) == [0, 1]


def test_nobody_takes_what_somebody_alive_has() -> None:
    assert not plan(held(["a"] * 4), "b", 2).take


def test_what_ran_out_is_taken_over() -> None:
    gone = [Held(one.checkpoint, "dead", free=True) for one in held(["dead"] * 2)]

    assert shards(plan(gone, "a", 1).take) == [0, 1]


def test_a_new_read_model_goes_to_those_who_read_its_shards() -> None:
    everything = held(["a", "b"]) + held([None, None], ["new"])

    assert shards(plan(everything, "a", 2).take) == [0]
    assert shards(plan(everything, "b", 2).take) == [1]


def test_shards_that_nobody_reads_come_before_those_that_somebody_reads_in_part() -> None:
    everything = held(["a", "a", None, None]) + held([None] * 4, ["new"])

    assert shards(plan(everything, "b", 2).take) == [2, 3]


def test_what_the_owner_of_a_shard_leaves_alone_is_taken_by_who_has_room() -> None:
    everything = held(["old", "old"]) + held([None, None], ["new"])

    assert shards(plan(everything, "a", 1).take) == [0, 1]


@pytest.mark.parametrize("count", [1, 2, 3])
@given(start=st.lists(st.sampled_from([*WORKERS, None]), min_size=16, max_size=16))
def test_whatever_the_start_all_soon_have_the_same_and_nothing_is_free(
    count: int, start: list[str | None]
) -> None:
    workers = WORKERS[:count]
    owners = {(name, shard): owner for shard, owner in enumerate(start) for name in NAMES}
    for _ in range(3):
        for worker in workers:
            everything = [
                Held(Checkpoint(name, shard, BEGINNING, 0), owner, owner not in workers)
                for (name, shard), owner in sorted(owners.items())
            ]
            wanted = plan(everything, worker, count)
            owners |= {one.key: None for one in wanted.give_back}
            owners |= {one.key: worker for one in wanted.take}

    assert set(owners.values()) == set(workers)
    for worker in workers:
        mine = {shard for (_, shard), owner in owners.items() if owner == worker}
        assert len(mine) <= -(-16 // count)
    for shard in range(16):
        assert len({owners[name, shard] for name in NAMES}) == 1

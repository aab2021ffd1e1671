"""Which process reads a shard that others have left to newer code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.eventstore.checkpoints import Checkpoint, Held, LeftToNewerCode
from handrail.eventstore.feed import Cursor
from handrail.eventstore.subscriptions.shard_assignment import plan

WORKERS = ("a", "b", "c")
NAMES = ("orders", "stock")
AT = 7
BEFORE, BEHIND = Cursor("1:1:", "9:9:", AT - 1), Cursor("9:9:")
Key = tuple[str, int]


@dataclass
class Store:
    """Checkpoints of two read models in four shards, and what processes do about them in turn."""

    left: Mapping[Key, Collection[str]]
    passed: bool = False
    parked: bool = False
    owners: dict[Key, str] = field(default_factory=dict)

    def held(self, alive: Collection[str]) -> list[Held]:
        return [
            Held(
                Checkpoint(name, shard, self._cursor((name, shard)), 0),
                self.owners.get((name, shard)),
                self.owners.get((name, shard)) not in alive,
                left=[
                    LeftToNewerCode(one, AT, self.parked)
                    for one in self.left.get((name, shard), ())
                ],
            )
            for shard in range(4)
            for name in NAMES
        ]

    def _cursor(self, key: Key) -> Cursor:
        return BEFORE if key in self.left and not self.passed else BEHIND

    def turns(self, alive: Collection[str]) -> None:
        for worker in [*alive] * 3:
            wanted = plan(self.held(alive), worker, alive)
            for one in wanted.give_back:
                del self.owners[one.key]
            self.owners |= {one.key: worker for one in wanted.take}


ORDERS = ("orders", 1)


def test_a_shard_goes_to_the_process_that_did_not_leave_it() -> None:
    store = Store({ORDERS: ["a"]})
    store.turns(["a", "b"])

    assert store.owners[ORDERS] == "b"


def test_only_the_read_model_that_waits_changes_hands() -> None:
    store = Store({ORDERS: ["a"]})
    store.turns(["a"])

    assert ORDERS not in store.owners
    assert set(store.owners.values()) == {"a"}
    assert len(store.owners) == len(NAMES) * 4 - 1


def test_what_all_have_left_is_read_by_none_of_them() -> None:
    store = Store({ORDERS: ["a", "b"]})
    store.turns(["a", "b"])

    assert ORDERS not in store.owners


def test_behind_the_event_the_process_that_passed_it_keeps_the_shard() -> None:
    store = Store({ORDERS: ["a"]}, passed=True, owners={ORDERS: "b"})
    store.turns(["a", "b"])

    assert store.owners[ORDERS] == "b"


def test_behind_the_event_the_others_go_on_once_that_process_is_gone() -> None:
    store = Store({ORDERS: ["a"]}, passed=True, owners={ORDERS: "b"})
    store.turns(["a"])

    assert store.owners[ORDERS] == "a"


def test_what_is_to_be_parked_is_read_by_any() -> None:
    store = Store({ORDERS: ["a"]}, parked=True)
    store.turns(["a"])

    assert store.owners[ORDERS] == "a"


LEFT = st.dictionaries(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), st.sets(st.sampled_from(WORKERS))
)


@pytest.mark.parametrize("count", [1, 2, 3])
@given(left=LEFT, passed=st.booleans(), before=st.sampled_from(WORKERS))
def test_all_agree_and_nothing_is_left_alone_that_can_be_read(
    count: int,
    left: Mapping[Key, set[str]],
    passed: bool,  # noqa: FBT001  # hypothesis gives it by name
    before: str,
) -> None:
    alive = set(WORKERS[:count])
    store = Store(left, passed, owners={("stock", 0): before})
    store.turns(sorted(alive))
    settled = dict(store.owners)
    store.turns(sorted(alive))

    assert store.owners == settled
    for key in ((name, shard) for name in NAMES for shard in range(4)):
        able = alive - left.get(key, set())
        if able:
            assert store.owners[key] in able
        else:
            assert (store.owners.get(key) in alive) == passed

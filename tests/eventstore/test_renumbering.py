"""Numbers of another cluster become numbers of this one, and every snapshot sees what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.eventstore.tables import NOTHING_SEEN
from tests.eventstore.interleaving import Lab

FIRST = 5_000_000_000  # beyond 32 bits, and beyond whatever this cluster gives out

Deed = Literal["begin", "commit", "look"]
deeds = st.lists(
    st.tuples(st.sampled_from(("begin", "begin", "commit", "commit", "look")), st.integers(0, 50)),
    max_size=60,
)


@dataclass
class Primary:
    """Gives out numbers as a server does, and remembers what it was asked."""

    next: int = FIRST
    under_way: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)

    def does(self, deed: Deed, which: int) -> None:
        if deed == "begin":
            self.under_way.append(self.next)
            self.next += 1
        elif deed == "commit" and self.under_way:
            self.committed.append(self.under_way.pop(which % len(self.under_way)))
        elif deed == "look":
            oldest = min(self.under_way, default=self.next)
            under_way = ",".join(map(str, sorted(self.under_way)))
            self.snapshots.append(f"{oldest}:{self.next}:{under_way}")


async def _unseen(lab: Lab) -> list[tuple[int, Sequence[int], Sequence[int] | None]]:
    """Of each checkpoint, the rows of the outbox that its two snapshots do not see."""
    return await lab.rows(
        "SELECT c.shard,"
        " ARRAY(SELECT position FROM outbox o WHERE NOT pg_visible_in_snapshot(o.txid, c.since)"
        "  ORDER BY 1),"
        " ARRAY(SELECT position FROM outbox o WHERE NOT pg_visible_in_snapshot(o.txid, c.until)"
        "  ORDER BY 1)"
        " FROM checkpoints c ORDER BY c.shard"
    )


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(deeds=deeds, halves=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=8))
async def test_each_snapshot_sees_the_same_rows_as_before(
    lab: Lab, deeds: list[tuple[Deed, int]], halves: list[tuple[int, int]]
) -> None:
    primary = Primary()
    for deed, which in deeds:
        primary.does(deed, which)
    snapshots = [NOTHING_SEEN, *primary.snapshots]
    async with lab.sql.transaction(force_rollback=True):
        for position, txid in enumerate(primary.committed, start=1):
            await lab.sql.execute(
                "INSERT INTO outbox VALUES (%s, %s::text::xid8, 0)", (position, txid)
            )
        pairs = [(one, None) for one in snapshots] + [
            (snapshots[min(a, b) % len(snapshots)], snapshots[max(a, b) % len(snapshots)])
            for a, b in halves
        ]
        for shard, (since, until) in enumerate(pairs):
            await lab.sql.execute(
                "INSERT INTO checkpoints (projection, shard, since, until)"
                " VALUES ('one', %s, %s::pg_snapshot, %s::pg_snapshot)",
                (shard, since, until),
            )
        before = await _unseen(lab)

        await lab.sql.execute("SELECT renumber_feed()")

        assert await _unseen(lab) == before
        assert not await lab.value("SELECT numbers_ahead()")
        assert await lab.value(
            "SELECT coalesce(bool_and(pg_visible_in_snapshot(txid, pg_current_snapshot())), true)"
            " FROM outbox"
        )
        assert await lab.value(
            "SELECT count(*) FROM checkpoints WHERE since::text = %s", NOTHING_SEEN
        ) == sum(since == NOTHING_SEEN for since, _ in pairs)

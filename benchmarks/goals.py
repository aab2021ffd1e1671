"""What each benchmark has to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Goal:
    """For a ratio or a figure, by its name; `kind` says on which side of `limit` it has to be."""

    measure: str
    kind: Literal["at least", "at most", "exactly"]
    limit: float

    def met_by(self, value: float) -> bool:
        if self.kind == "at least":
            return value >= self.limit
        if self.kind == "at most":
            return value <= self.limit
        return value == self.limit


def _least(measure: str, limit: float) -> Goal:
    return Goal(measure, "at least", limit)


def _most(measure: str, limit: float) -> Goal:
    return Goal(measure, "at most", limit)


GOALS: Final[Mapping[str, Sequence[Goal]]] = {
    "saga": (_least("throughput_vs_temporal", 2.0), _least("throughput_vs_dbos", 1.3)),
    "decision": (_most("latency_vs_temporal", 0.4),),
    "orders": (),  # what an order costs is of this machine
    "append": (_least("vs_raw_insert", 0.7), _least("vs_eventsourcing", 4)),
    "growth": (
        _most("append_10m_over_100k", 1.2),
        _most("load_10m_over_100k", 1.2),
        _most("feed_10m_over_100k", 1.2),
    ),
    "feed": (_most("lag_p99_ms", 100), _most("statements_per_event", 0.2)),
    "rebuild": (_least("events_per_s", 20_000), _least("vs_loop", 10)),
    "hot": (_least("vs_spread", 0.5), Goal("sold", "exactly", 500)),
    "fairness": (_most("modest_p95", 2.0),),
    "relay": (_least("vs_bare_publisher", 0.6),),
    "soak": (
        _most("worker_memory_growth", 1.1),
        _most("projector_memory_growth", 1.1),
        _most("api_memory_growth", 1.1),
        Goal("backlog", "exactly", 0),
        Goal("invariants_broken", "exactly", 0),
    ),
}

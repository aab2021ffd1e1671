"""What the page on performance says and draws of each benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Bars:
    """Figures by name, and what to write beside their bars. Ours begin with `Handrail`."""

    unit: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class OverTime:
    """Memory and throughput of the figure `over_time`; labels by process."""

    labels: Mapping[str, str]


@dataclass(frozen=True)
class Chapter:
    title: str
    work: str
    plot: Bars | OverTime


CHAPTERS: Final[Mapping[str, Chapter]] = {
    "saga": Chapter(
        "Checkouts a second",
        "The checkout saga with all its steps, 50 under way at a time in one worker process; bank"
        " and carrier say yes at once. Beside it, on the same servers and in turns: a Temporal"
        " workflow with as many activities that do nothing, and a DBOS workflow with as many steps"
        " that insert one event each.",
        Bars(
            "sagas/s",
            {
                "handrail_per_s": "Handrail",
                "temporal_per_s": "Temporal, empty activities",
                "dbos_per_s": "DBOS",
            },
        ),
    ),
    "decision": Chapter(
        "From the request to the decision",
        "One order at a time, by `POST /orders` with `Prefer: wait`, until the answer says how it"
        " was decided. Beside it, on the same server: a Temporal workflow with as many activities"
        " that do nothing, until its result is there.",
        Bars(
            "ms, median",
            {"decision_p50_ms": "Handrail", "temporal_p50_ms": "Temporal, empty activities"},
        ),
    ),
    "orders": Chapter(
        "What an order costs",
        "The whole stack on one machine, ten merchants with an order each under way at any time, by"
        " `POST /orders` with `Prefer: wait`. The CPU of each process, over all that an order sets"
        " off until its checkout has ended and the read models show it.",
        Bars(
            "ms of CPU an order",
            {
                "temporal_ms": "Temporal's server",
                "worker_ms": "Handrail worker",
                "api_ms": "Handrail API",
                "projector_ms": "Handrail projector",
                "postgres_ms": "PostgreSQL",
                "bank_ms": "simulated bank",
                "carrier_ms": "simulated carrier",
            },
        ),
    ),
    "append": Chapter(
        "Appending events",
        "Two events in one append, to new streams and to streams of 20 events, by one writer and by"
        " 16. Beside it, on the same server: the same rows inserted into one table, which checks"
        " nothing, and the library `eventsourcing`.",
        Bars(
            "appends/s, 16 writers",
            {
                "handrail_new_16_appends_per_s": "Handrail, new streams",
                "raw_insert_new_16_appends_per_s": "INSERT, new streams",
                "eventsourcing_new_16_appends_per_s": "eventsourcing, new streams",
                "handrail_grown_16_appends_per_s": "Handrail, streams of 20",
                "raw_insert_grown_16_appends_per_s": "INSERT, streams of 20",
                "eventsourcing_grown_16_appends_per_s": "eventsourcing, streams of 20",
            },
        ),
    ),
    "growth": Chapter(
        "A hundred times as many events",
        "The same append, load of a stream, and page of the feed in a store of 100,000 events and"
        " in one of 10 million.",
        Bars(
            "ms, median",
            {
                "append_100k_ms": "append, 100 thousand",
                "append_10m_ms": "Handrail append, 10 million",
                "load_100k_ms": "load, 100 thousand",
                "load_10m_ms": "Handrail load, 10 million",
                "feed_100k_ms": "feed page, 100 thousand",
                "feed_10m_ms": "Handrail feed page, 10 million",
            },
        ),
    ),
    "feed": Chapter(
        "From the event to the read model",
        "1,000 events a second for a minute, with every projection running; the time from an append"
        " until the read model shows it. Beside it: one loop that polls the same table and writes"
        " row by row.",
        Bars(
            "ms, 99th percentile", {"lag_p99_ms": "Handrail", "loop_lag_p99_ms": "a polling loop"}
        ),
    ),
    "rebuild": Chapter(
        "Building the read models anew",
        "All read models from a million events by two projectors. Beside it: one SELECT, and a loop"
        " that writes row by row.",
        Bars("events/s", {"events_per_s": "Handrail", "loop_events_per_s": "a loop"}),
    ),
    "hot": Chapter(
        "A flash sale",
        "2,000 checkouts, 64 at a time, of one article of which there are 500. Beside it: the same"
        " over 500 articles. Exactly 500 are sold.",
        Bars("checkouts/s", {"hot_per_s": "Handrail, one article", "spread_per_s": "500 articles"}),
    ),
    "fairness": Chapter(
        "One greedy merchant",
        "Twenty merchants order at a steady rate, alone and beside one who orders as fast as the"
        " machine allows, in turns. How long the twenty wait for a decision.",
        Bars(
            "ms, 95th percentile",
            {
                "modest_p95_alone_ms": "alone",
                "modest_p95_with_greedy_ms": "Handrail, with the greedy one",
            },
        ),
    ),
    "relay": Chapter(
        "Publishing to RabbitMQ",
        "One relay reads the feed and publishes it, in the order of each stream. Beside it, at the"
        " same broker and in turns: a publisher that has the same messages ready. Both wait for"
        " confirms.",
        Bars(
            "messages/s",
            {"messages_per_s": "Handrail", "bare_messages_per_s": "a bare publisher"},
        ),
    ),
    "soak": Chapter(
        "Twenty minutes with restarts",
        "Orders over HTTP at 60 % of what the machine can do, each until it is delivered. Of two"
        " workers and two projectors one each is killed and started again in every quarter; drawn"
        " is the memory of those that live through all of it. At the end nothing may be left"
        " undone, and every invariant must hold.",
        OverTime({"worker": "worker", "projector": "projector", "api": "API"}),
    ),
}
"""In the order of the page."""

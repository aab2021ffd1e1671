"""The page of retention: for each table how long its rows are kept, and which process deletes them.

The tables of the library are declared here; a business adds those of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from handrail.eventstore import prune_tables, retry_requests, write_levels
from handrail.messaging.broker import dead_message_acts
from handrail.messaging.consumers import prune_inbox as inbox
from handrail.messaging.contracts import form_readers
from handrail.notifications import pruning as notifications
from handrail.projections.earlier_keys import earlier_keys_name
from handrail.projections.projection import Projection
from handrail.projections.totals import totals_name
from handrail.webhook_endpoints import pruning as webhook_endpoints


@dataclass(frozen=True, kw_only=True)
class Retention:
    """`until` follows "is kept"; `after` is how long then. `by` is the process that deletes."""

    tables: tuple[str, ...]
    until: str
    after: timedelta | None = None
    protects: str
    by: str = ""

    @property
    def kept(self) -> str:
        return self.until if self.after is None else f"{_days(self.after)} {self.until}"


def _days(time: timedelta) -> str:
    return f"{time.days} days" if time.days else f"{time.seconds // 3600} hours"


FOR_EVER: Final = "for ever"

_OF_THE_LIBRARY: Final[Sequence[Retention]] = (
    Retention(
        tables=("events", "streams"),
        until=FOR_EVER,
        protects="The facts. Read models, point-in-time reads, decisions, the audit trail, the "
        "lake and `verify` are folded from them; what is not there cannot be had again.",
    ),
    Retention(
        tables=("outbox",),
        until="until every follower's checkpoint has seen the whole partition",
        protects="The feed: what a follower has not read yet.",
        by="projector",
    ),
    Retention(
        tables=("commands", "long_attempts", "fence_walks"),
        until="a year after the month in which the attempt began, and as long as the attempt may "
        "ask",
        protects="That a step takes effect once: a command that comes again finds its answer.",
        by="projector",
    ),
    Retention(
        tables=("store_epochs",),
        until=FOR_EVER,
        protects="Which server's transaction numbers the feed, tokens and the lake count in.",
    ),
    Retention(
        tables=("subject_keys",),
        until="for ever, without the key once its subject was erased",
        protects="What opens personal texts; and of those erased the proof: key, time, and actor.",
    ),
    Retention(
        tables=("api_keys", "api_key_uses"),
        until=FOR_EVER,
        protects="Who could sign in, with which rights, and who gave and took them. Of secrets"
        " there are hashes only.",
    ),
    Retention(
        tables=("checkpoints",),
        until="as long as its follower is known",
        protects="Where each follower goes on reading.",
        by="the exchange of a read model; a person for a follower that is gone",
    ),
    Retention(
        tables=("followers",),
        after=timedelta(hours=1),
        until="after the last sign of life",
        protects="The fair share of each process. It is only of the present.",
        by="every follower",
    ),
    Retention(
        tables=("event_levels",),
        until=FOR_EVER,
        protects="Which forms of events may be written: a release that cannot read them stops.",
    ),
    Retention(
        tables=("process_versions",),
        until=f"{write_levels.DEAD_AFTER.seconds} seconds after the last sign of life",
        protects="That nothing is written that a live process cannot read.",
        by="every process that reads events",
    ),
    Retention(
        tables=("state_snapshots",),
        until="until the next of the same stream and revision takes its place, or two of other"
        " revisions came",
        protects="The time that a command on a long stream takes. A cache.",
    ),
    Retention(
        tables=("snapshots",),
        until="until the table goes, with a release after that of `state_snapshots`",
        protects="The same for processes of earlier releases. A cache.",
    ),
    Retention(
        tables=("row_snapshots",),
        after=prune_tables.ROW_SNAPSHOTS_KEPT,
        until="after it was taken",
        protects="The time that a point-in-time read of a long history takes. A cache.",
        by="projector",
    ),
    Retention(
        tables=("moments",),
        after=prune_tables.MOMENTS_KEPT,
        until="after it",
        protects="That a point-in-time read of the time has the same answer for ever: what had been"
        " committed then. As of earlier times, events count by when they were recorded.",
        by="projector",
    ),
    Retention(
        tables=("kept_totals",),
        after=prune_tables.MOMENTS_KEPT,
        until="after it was kept",
        protects="The time that sums as of a moment take, and that there are any of moments long"
        " ago.",
        by="projector",
    ),
    Retention(
        tables=("parked_events",),
        until="until the event is applied or published, or the read model exchanged",
        protects="The order of a row's or a stream's events, and that none is left out.",
        by="`handrail projections retry`, `handrail relay retry`",
    ),
    Retention(
        tables=("requests",),
        after=prune_tables.ANSWERS_KEPT,
        until="after the request",
        protects="That a request repeated under its Idempotency-Key gets the same answer. Later "
        "the ids that follow from the key protect from a second effect.",
        by="projector",
    ),
    Retention(
        tables=("saga_places",),
        after=prune_tables.PLACES_KEPT,
        until="after it was taken, or until the saga has ended",
        protects="How many sagas of a tenant may run at the same time.",
        by="projector",
    ),
    Retention(
        tables=("webhooks",),
        after=prune_tables.WEBHOOKS_KEPT,
        until="after it had its effect; one that waits or is unknown until a person settles it",
        protects="That a webhook sent again has no second effect, and its signed bytes.",
        by="projector",
    ),
    Retention(
        tables=("webhook_deliveries",),
        after=webhook_endpoints.SETTLED_KEPT,
        until="after it was sent or discarded; one that is neither is discarded after"
        f" {_days(webhook_endpoints.OPEN_KEPT)}",
        protects="That each event is sent to the endpoints of its tenant, and that the tenant sees "
        "what became of it.",
        by="dispatcher",
    ),
    Retention(
        tables=("webhook_endpoints",),
        until=f"until {_days(webhook_endpoints.SETTLED_KEPT)} after it was deleted",
        protects="Where a tenant has its events sent. Its secrets are sealed, and go when it is "
        "deleted.",
        by="dispatcher",
    ),
    Retention(
        tables=("inbox",),
        after=inbox.KEPT,
        until="after the message was handled, and the consumer's checkpoint has passed it",
        protects="That a message delivered again has no second effect.",
        by="each consumer",
    ),
    Retention(
        tables=("parked_streams",),
        until="until all its parked messages are settled",
        protects="The order of a stream's messages at its consumer.",
        by="`handrail consumers retry` and `discard`",
    ),
    Retention(
        tables=("parked_messages",),
        after=inbox.SETTLED_KEPT,
        until="after it was handled; until a person settles it; for ever where it was discarded",
        protects="That nothing is left out in silence. Of a discarded message it is the only proof "
        "that a person decided so, which `verify` needs.",
        by="each consumer",
    ),
    Retention(
        tables=("consumer_wants", "consumer_backfills"),
        until="as long as the consumer is known; a backfill until it has caught up",
        protects="Of which events the consumer's checkpoint speaks.",
        by="each consumer",
    ),
    Retention(
        tables=("form_readers",),
        after=form_readers.KEPT,
        until="after the queue was last seen bound to the form",
        protects="That it is known since when no queue reads an old form of an event.",
        by="relay",
    ),
    Retention(
        tables=("newer_code_waits",),
        until="until the shard has moved on and the process that left it is gone",
        protects="That a process of older code does not take a shard back from a newer one.",
        by="each process that follows the feed",
    ),
    Retention(
        tables=("newer_code_decisions",),
        until="for ever",
        protects="Who decided when, and why, that events of newer code are parked.",
        by="nothing",
    ),
    Retention(
        tables=("retry_requests",),
        after=retry_requests.KEPT,
        until="after it was worked off",
        protects="That a retry which was requested over HTTP is done, and what came of it is seen.",
        by="projector",
    ),
    Retention(
        tables=("rebuild_requests",),
        until="for ever: one row for each read model",
        protects="That a rebuild which was requested over HTTP is done, and what came of it is "
        "seen.",
        by="nothing",
    ),
    Retention(
        tables=("dead_message_acts",),
        after=dead_message_acts.KEPT,
        until="after the act",
        protects="The original of each message that an operator redrove, edited or discarded at "
        "the broker; its personal texts are sealed as they were published.",
        by="API",
    ),
    Retention(
        tables=("notification_contacts",),
        until="until the contact is erased",
        protects="How a recipient wants to be reached. Personal data, and in no event: erased "
        "means gone.",
        by="API",
    ),
    Retention(
        tables=("notifications",),
        after=notifications.KEPT,
        until=f"after it was settled; {_days(notifications.FAILED_KEPT)} where it failed; until a "
        "person settles one that is parked",
        protects="What a recipient was sent, and that it is not sent twice. Personal data: a "
        "message that was tried holds the address.",
        by="notifier",
    ),
    Retention(
        tables=("campaigns",),
        after=notifications.CAMPAIGNS_KEPT,
        until="after it ended, and no message needs its texts",
        protects="That a campaign begun again under its name is the same one.",
        by="notifier",
    ),
    Retention(
        tables=("campaign_audience",),
        after=notifications.KEPT,
        until="after the campaign ended",
        protects="Whom a campaign is for, while it is being enqueued.",
        by="notifier",
    ),
    Retention(
        tables=("lake_batches",),
        until="the newest 10,000 batches",
        protects="That a batch whose writer died is written once, and the same.",
        by="exporter of the lake",
    ),
    Retention(
        tables=("read_models", "alembic_version"),
        until="as long as the table it is about",
        protects="That code and tables are of the same version.",
        by="the exchange of a read model, migrations",
    ),
)

_HEAD: Final = """# Retention

How long the rows of every table are kept, what that protects, and which process deletes them.
Deleting goes in batches that an index finds, every minute or ten, so no table is read whole for it.
This page is written by `make retention` from `handrail/docs_pages/retention.py` and
`runtime/retention.py`;
`tests/runtime/test_retention.py` compares the two, and fails for a table of a migrated database
that has no line here.

| table | is kept | protects | deleted by |
|---|---|---|---|
"""

_FOOT: Final = """
Events are kept for ever because everything else can be made from them, and nothing else can make
them. They hold no contact: addresses and numbers of recipients are in `notification_contacts` and,
of messages that were tried, in `notifications`. Deleting changes no answer of `handrail verify`:
what its retention deleted is known from checkpoints, partitions and decisions, and not from its
absence ([verify](verify.md)).

Beside the database: Temporal keeps a closed workflow for its namespace's retention, the broker a
message until it is consumed, and the lake every event ([lake](lake.md)).
"""


def retentions(
    projections: Sequence[Projection[Any]], own: Sequence[Retention]
) -> Sequence[Retention]:
    """Of the tables of the library, of the projections' read models, and the business's `own`."""
    tables = (one.table.name for one in projections)
    totals = (totals_name(one.table.name) for one in projections if one.adds is not None)
    earlier = (earlier_keys_name(one.table.name) for one in projections if one.begins is not None)
    read_models = Retention(
        tables=(*tables, *totals, *earlier),
        until="until a new version takes their place",
        protects="Answers of the API. They hold nothing that is not in the events, and are built "
        "anew from them at any time.",
        by="the exchange of a read model",
    )
    return (*_OF_THE_LIBRARY, read_models, *own)


def page(entries: Sequence[Retention]) -> str:
    """In Markdown, a line for each entry."""
    rows = [
        f"| {', '.join(f'`{one}`' for one in entry.tables)} | {entry.kept} | {entry.protects} "
        f"| {entry.by or 'nobody'} |"
        for entry in entries
    ]
    return _HEAD + "\n".join(rows) + "\n" + _FOOT

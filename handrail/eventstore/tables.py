"""The tables of the event store: what every column means, and why each index is there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from handrail.access.row_owner import FOR_OPERATORS, OWNER, RowOwner

metadata = MetaData()


class Xid8(UserDefinedType[int]):
    """A transaction's number, 64 bits wide: it never wraps, as the xmin of a row does."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class PgSnapshot(UserDefinedType[str]):
    """Which transactions a reader could see: `xmin:xmax:xip,…`."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


NOTHING_SEEN = "1:1:"
"""The snapshot that sees no transaction: where a rebuild starts."""
_SETTLED = text("settled_at IS NOT NULL")

# One row a stream. Its row lock serializes writers of the stream, its version is what they expect.
# No index on version and room on every page: each append changes the row in place (a HOT update).
streams = Table(
    "streams",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 70},
)

# The facts. `position` sorts the events of one stream, and what one transaction may have seen of
# another; it has gaps, and it is not the order of commits: only the feed may be followed.
# `shard` is derived from the id in the stream's name, so all streams of one id share it.
events = Table(
    "events",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("txid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column(
        "recorded_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    # Loading a stream is one range of this index; it is also the last guard of the versions.
    UniqueConstraint("stream", "version", name="events_stream_version_key"),
    # Searches for what an actor did, and for what came of a saga or a request, newest first.
    Index("events_actor_idx", text("(metadata ->> 'actor')"), "position"),
    Index("events_correlation_idx", text("(metadata ->> 'correlation')"), "position"),
)

# What live feeds follow: narrow, insert-only, and pruned by dropping partitions.
outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, nullable=False, autoincrement=False),
    Column("txid", Xid8, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    PrimaryKeyConstraint("position", name="outbox_pkey"),
    # A batch is a range of transactions: it never reads what it has delivered before.
    Index("outbox_txid_idx", "txid", "position"),
    postgresql_partition_by="RANGE (position)",
)

# The fence: one row for each (saga, attempt, step, direction) that took effect, with its answer, or
# whose door was shut by its compensation before it came. `opened_on` is the day the attempt began,
# the same for all its keys, so that old months can be dropped whole.
commands = Table(
    "commands",
    metadata,
    Column("opened_on", Date, nullable=False),
    Column("saga", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("answer", JSONB),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    Column("txid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column(
        "recorded_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("opened_on", "saga", "attempt", "step", "direction", name="commands_pkey"),
    CheckConstraint("direction IN ('do', 'undo')", name="commands_direction_check"),
    CheckConstraint("answer IS NOT NULL OR closed", name="commands_answered_or_closed_check"),
    postgresql_partition_by="RANGE (opened_on)",
)

# The attempts that wrote a row of the fence later than two days after they began, and of old months
# those whose saga has not ended: their rows of the fence outlive the month. `written_on` is the day
# of the last late row.
long_attempts = Table(
    "long_attempts",
    metadata,
    Column("opened_on", Date, nullable=False),
    Column("saga", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("written_on", Date, nullable=False),
    # Not unique: two late appends of one attempt do not wait for each other.
    Index("long_attempts_idx", "opened_on", "saga", "attempt", "written_on"),
)

# How far each old partition of the fence was looked through for attempts that may still ask.
fence_walks = Table(
    "fence_walks",
    metadata,
    Column("partition", Text, nullable=False),
    Column("opened_on", Date),
    Column("saga", Text),
    Column("attempt", Integer),
    Column("finished", Boolean, nullable=False),
    PrimaryKeyConstraint("partition", name="fence_walks_pkey"),
)

# How far a follower of the feed has read one shard: a projection, or another one, whose name is in
# `projection` too. `since` is a snapshot: everything it sees was handled. `until` and
# `after_position` say how far a batch got that takes several pages. `revision` is the fencing
# token: who moves the checkpoint must know it, so a worker that lost its lease changes nothing.
# `lease` is how long the owner's leases are: one that ends later than that, or never, is no sign of
# life (`handrail/eventstore/subscriptions/heartbeats.py`).
# `epoch` is the one of the store whose transaction numbers the snapshots are made of.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("projection", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("since", PgSnapshot, nullable=False),
    Column("until", PgSnapshot),
    Column("after_position", BigInteger, nullable=False, server_default=text("0")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("leased_until", DateTime(timezone=True)),
    Column(
        "moved_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    Column("lease", Interval),
    PrimaryKeyConstraint("projection", "shard", name="checkpoints_pkey"),
    postgresql_with={"fillfactor": 50},
)

# Which server the store is on, and since when: the newest row is the epoch that there is, and it
# names the server by what no other one has. Transaction numbers, positions and the versions of a
# stream are given out once within an epoch: events up to `restored_position` were there when it
# began, and it gives out positions from `first_position` on. Where it is `renumbered`, the `txid`
# of events up to `restored_position` is a number of another server: snapshots are then asked about
# the row of the outbox. Rows are added by a migration, by an operator who adopts a store that was
# restored, or by a process that may adopt a new timeline; none is ever changed.
store_epochs = Table(
    "store_epochs",
    metadata,
    Column("epoch", Integer, nullable=False, autoincrement=False),
    Column("system_identifier", BigInteger, nullable=False),
    Column("timeline", Integer, nullable=False),
    Column("events_oid", BigInteger, nullable=False),
    Column("restored_position", BigInteger, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("renumbered", Boolean, nullable=False, server_default=text("false")),
    Column(
        "began_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("cause", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("database_oid", BigInteger),
    PrimaryKeyConstraint("epoch", name="store_epochs_pkey"),
    CheckConstraint("first_position > restored_position", name="store_epochs_positions_check"),
)

# What had been committed when: `snapshot` and the newest `position` at the time `at`, and until
# `until` nothing else was. Written by `keep_moment` alone, one after the other, and never changed
# but in `until` of the newest one. `epoch` is the one of the store whose transaction numbers the
# snapshot is made of.
moments = Table(
    "moments",
    metadata,
    Column("at", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("snapshot", PgSnapshot, nullable=False),
    Column("position", BigInteger, nullable=False, autoincrement=False),
    Column("epoch", Integer, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("at", name="moments_pkey"),
    postgresql_with={"fillfactor": 90},
)

# What the totals of a read model were at a checkpoint: sums as of a moment go on from the nearest
# one. `checkpoints` has, for each shard, `since`, `until` and `after_position` as a checkpoint has
# them; `position` is that of the newest event then. `totals` are figure, labels and total over all
# shards. Projectors add rows, at most once a second and after a thousand events; none is changed.
kept_totals = Table(
    "kept_totals",
    metadata,
    Column("read_model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("epoch", Integer, nullable=False, autoincrement=False),
    Column("position", BigInteger, nullable=False, autoincrement=False),
    Column(
        "kept_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("checkpoints", JSONB, nullable=False),
    Column("totals", JSONB, nullable=False),
    PrimaryKeyConstraint("read_model", "version", "epoch", "position", name="kept_totals_pkey"),
    # What is older than its retention is found by it.
    Index("kept_totals_kept_at_idx", "kept_at"),
    info={OWNER: FOR_OPERATORS},
)

# The processes that follow the feed and are alive, so that each knows its fair share. `serves`
# names what a process can work on: while versions of read models are exchanged, old and new
# processes do not count each other.
followers = Table(
    "followers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("serves", Text, nullable=False),
    Column("alive_until", DateTime(timezone=True), nullable=False),
    postgresql_with={"fillfactor": 50},
)

# Where a process left a shard to newer code: the event that it cannot read, and since when the
# shard stands before it, whichever process found that out first. As long as the row is there, its
# owner takes the shard only where no other process can. A row goes once its shard has moved on and
# its owner is gone. Of the lake, `shard` is 0 for all of them.
newer_code_waits = Table(
    "newer_code_waits",
    metadata,
    Column("subscriber", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("stream", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column(
        "since",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("subscriber", "shard", "owner", name="newer_code_waits_pkey"),
)

# What operators decided about forms that a subscriber's code cannot read: to park their events
# instead of waiting, or no longer to. The newest row of a form stands; none is ever changed.
newer_code_decisions = Table(
    "newer_code_decisions",
    metadata,
    Column("subscriber", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column(
        "decided_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("parks", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint(
        "subscriber", "type", "schema", "decided_at", name="newer_code_decisions_pkey"
    ),
    CheckConstraint("actor <> '' AND reason <> ''", name="newer_code_decisions_by_check"),
)

# What an operator requested over HTTP: to retry what is parked at a read model (`orders`) or at the
# relay (`relay`, `relay/money`), of one stream or of all (empty). A process that can do it settles
# the row, and two days later it goes.
retry_requests = Table(
    "retry_requests",
    metadata,
    Column("subscriber", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column(
        "requested_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("settled_at", DateTime(timezone=True)),
    Column("handled", BigInteger),
    Column("stopped_by", Text),
    PrimaryKeyConstraint("subscriber", "stream", name="retry_requests_pkey"),
    CheckConstraint("actor <> '' AND reason <> ''", name="retry_requests_by_check"),
    # Each process that can work them off looks every second.
    Index(
        "retry_requests_unsettled_idx",
        "requested_at",
        "subscriber",
        "stream",
        postgresql_where=text("settled_at IS NULL"),
    ),
    Index("retry_requests_settled_idx", "settled_at", postgresql_where=_SETTLED),
)

# The folded state of a long stream at some version, by the revision of the fold that made it: the
# state's form and what the fold does. One of another revision is passed over, never converted. Two
# rows of a stream are kept, for two releases side by side; when a third comes the oldest goes.
state_snapshots = Table(
    "state_snapshots",
    metadata,
    Column("stream", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", JSONB, nullable=False),
    Column(
        "kept_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("stream", "revision", name="state_snapshots_pkey"),
)

# What processes of before `state_snapshots` keep there and read, by the form of the state alone.
# Nothing else uses it, and it goes with `load_streams` once no such process runs any more.
snapshots = Table(
    "snapshots",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", JSONB, nullable=False),
)

# Rows of read models in the middle of a long history, from which as-of reads fold on. `versions`
# says for each stream which of its events are in `state`; `version` is that of the projection, and
# behind its name stands the revision of its fold. A cache: what is deleted here is folded again.
row_snapshots = Table(
    "row_snapshots",
    metadata,
    Column("projection", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("versions", JSONB, nullable=False),
    Column("state", JSONB, nullable=False),
    Column(
        "taken_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("projection", "id", "version", "position", name="row_snapshots_pkey"),
    # Old ones are deleted: each read that needs one takes it anew.
    Index("row_snapshots_taken_at_idx", "taken_at"),
)

# Events a projection could not apply, or the relay could not publish to an exchange: there
# `projection` is such as `relay/money`. Later events of the same stream wait behind the first one,
# so a parked stream is worked off in order; other streams go on.
parked_events = Table(
    "parked_events",
    metadata,
    Column("projection", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column(
        "parked_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("projection", "stream", "position", name="parked_events_pkey"),
    # Whether the row of an id has parked events is asked for every page.
    Index("parked_events_id_idx", "projection", text("substr(stream, strpos(stream, '-') + 1)")),
)

# The answers of HTTP requests that carried an Idempotency-Key. While `status` is empty the request
# is being worked on, by a process that has until `claimed_until`.
requests = Table(
    "requests",
    metadata,
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("claimed_until", DateTime(timezone=True), nullable=False),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", JSONB),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("route", "key", name="requests_pkey"),
    Index("requests_created_at_idx", "created_at"),  # the old ones go, every minute
)

# Which of a tenant's places are taken, each by a saga that was begun over HTTP. That of a saga
# which no longer runs is free: whoever finds all of them taken removes such rows first.
saga_places = Table(
    "saga_places",
    metadata,
    Column("merchant", Text, key="tenant", nullable=False),
    Column("saga", Text, nullable=False),
    Column(
        "taken_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    PrimaryKeyConstraint("tenant", "saga", name="saga_places_pkey"),
    # Those that nobody frees are found by their age.
    Index("saga_places_taken_at_idx", "taken_at"),
    info={OWNER: RowOwner(tenant="merchant")},
)

# What other companies told us by webhook, each message once by its id, which is theirs. Which
# sources there are, the App says. `body` is the bytes that were signed. `waiting` is a message that
# had no effect yet and may be sent again; `unknown` one of which nobody knows what to do, until a
# person looks at its `problem`.
webhooks = Table(
    "webhooks",
    metadata,
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column(
        "received_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("type", Text, nullable=False),
    Column("order_id", Text, key="subject"),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("problem", Text),
    PrimaryKeyConstraint("source", "id", name="webhooks_pkey"),
    CheckConstraint("char_length(source) BETWEEN 1 AND 64", name="webhooks_source_check"),
    CheckConstraint("status IN ('accepted', 'unknown', 'waiting')", name="webhooks_status_check"),
    # Lists are newest first, of all or of one status.
    Index("webhooks_received_at_idx", "received_at", "source", "id"),
    Index("webhooks_status_idx", "status", "received_at", "source", "id"),
    # The timeline of what they are about.
    Index(
        "webhooks_subject_idx",
        "subject",
        "received_at",
        postgresql_where=text("order_id IS NOT NULL"),
    ),
)

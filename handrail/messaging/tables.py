"""Tables of messaging: what consumers have handled, what waits for a person, acts of operators."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from handrail.eventstore.tables import PgSnapshot

metadata = MetaData()


def _now(name: str) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    )


# The messages that had their effect, or were discarded: each is written in the transaction of its
# effect, so a message that comes again has none. Old rows are deleted once the consumer's own
# checkpoint covers their events: from then on that tells a duplicate.
inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("id", Text, nullable=False),
    _now("received_at"),
    PrimaryKeyConstraint("consumer", "id", name="inbox_pkey"),
    # Rows come in the order of their time: a small index finds the old ones.
    Index("inbox_received_at_idx", "received_at", postgresql_using="brin"),
)

# The streams of which a message could not be handled. Whoever handles a message of a stream locks
# its row here for sharing, and whoever works the stream off for itself: so none slips past.
parked_streams = Table(
    "parked_streams",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("stream", Text, nullable=False),
    _now("parked_at"),
    PrimaryKeyConstraint("consumer", "stream", name="parked_streams_pkey"),
)

# The message that could not be handled, and those of its stream that came later. One that was
# settled stays, with who did it, when and why: `settled_as` tells the ways. Those that were handled
# are deleted in time; of those that were discarded, this is the only proof why they had no effect.
parked_messages = Table(
    "parked_messages",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("cause", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    _now("parked_at"),
    Column("settled_at", DateTime(timezone=True)),
    Column("settled_as", Text),
    Column("actor", Text),
    Column("reason", Text),
    PrimaryKeyConstraint("consumer", "stream", "version", name="parked_messages_pkey"),
    CheckConstraint(
        "settled_as IN ('handled', 'discarded')", name="parked_messages_settled_as_check"
    ),
    CheckConstraint(
        "(settled_at IS NULL) = (settled_as IS NULL)"
        " AND (settled_at IS NULL OR (coalesce(actor, '') <> '' AND coalesce(reason, '') <> ''))",
        name="parked_messages_settled_by_check",
    ),
    Index(
        "parked_messages_waiting_idx",
        "consumer",
        "stream",
        "version",
        postgresql_where=text("settled_at IS NULL"),
    ),
    # What was settled is deleted after its retention.
    Index(
        "parked_messages_settled_idx",
        "consumer",
        "settled_at",
        postgresql_where=text("settled_at IS NOT NULL"),
    ),
)

# The types of events that each consumer has ever wanted. The consumer's checkpoint stands for all
# of them, except where `consumer_backfills` has a row.
consumer_wants = Table(
    "consumer_wants",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("type", Text, nullable=False),
    _now("wanted_at"),
    PrimaryKeyConstraint("consumer", "type", name="consumer_wants_pkey"),
)

# The queues that were bound to a form of an event (its name and schema version), from when to when,
# so that a person knows since when no queue reads an old form. The relay writes it, for events that
# have several forms.
form_readers = Table(
    "form_readers",
    metadata,
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("reader", Text, nullable=False),
    _now("first_seen"),
    _now("last_seen"),
    PrimaryKeyConstraint("type", "schema", "reader", name="form_readers_pkey"),
)

# Where a type of one shard stands that the consumer's checkpoint does not stand for: it was added
# later, or a process that does not want it moved the checkpoint over it, or it was rewound. The
# cursor has the columns of a checkpoint. It is read from history until it is where the checkpoint
# is; then the row goes. `from_position`: no event before it is missing of those that `until` does
# not see; the greatest number there is where none is missing. `again`: what the inbox knows from
# before `begun_at` is handled once more, as the actor asked for.
consumer_backfills = Table(
    "consumer_backfills",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("since", PgSnapshot, nullable=False),
    Column("until", PgSnapshot),
    Column("after_position", BigInteger, nullable=False, server_default=text("0")),
    Column("from_position", BigInteger, nullable=False, server_default=text("0")),
    Column("again", Boolean, nullable=False, server_default=text("false")),
    _now("begun_at"),
    Column("actor", Text),
    Column("reason", Text),
    PrimaryKeyConstraint("consumer", "type", "shard", name="consumer_backfills_pkey"),
    CheckConstraint(
        "NOT again OR (coalesce(actor, '') <> '' AND coalesce(reason, '') <> '')",
        name="consumer_backfills_again_by_check",
    ),
)

# What an operator did to a message in a queue `dead` or `unrouted` of the broker, with the message
# as it was, stored before anything was done. `message` names it by its content, `edited` is the
# body that its copy has instead, `sent_to` are the queues of the copies; `settled_at` is when the
# broker had them and the message was gone from its queue.
dead_message_acts = Table(
    "dead_message_acts",
    metadata,
    Column("id", BigInteger, Identity(always=True)),
    Column("act", Text, nullable=False),
    Column("vhost", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("edited", LargeBinary),
    Column("sent_to", ARRAY(Text), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("at"),
    Column("settled_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("id", name="dead_message_acts_pkey"),
    CheckConstraint("act IN ('redrive', 'edit', 'discard')", name="dead_message_acts_act_check"),
    CheckConstraint("actor <> '' AND reason <> ''", name="dead_message_acts_by_check"),
    # What is too old is found and deleted.
    Index("dead_message_acts_at_idx", "at"),
    # The newest of a queue are shown.
    Index("dead_message_acts_queue_idx", "vhost", "queue", "id"),
)

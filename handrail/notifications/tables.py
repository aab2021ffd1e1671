"""What notifications keep: whom to reach and how, the messages, and the campaigns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Time,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from handrail.access.row_owner import OWNER, RowOwner

metadata = MetaData()

RECIPIENT: Final = "customer"
"""The column, of three tables, for the id of whom a message is for."""
ABOUT: Final = "order_id"
"""The column for the id of what a message is about."""
AFTER: Final = "after_customer"
"""The column of a campaign for the last recipient who was put into the queue."""


def _now(name: str) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    )


# How a recipient is reached, and wants to be. Personal, and so no event: it can be changed and
# erased. `choices` holds by topic which channels were turned on or off; what is not there is as
# the kind of message has it. Quiet hours are local times, from and until, or both empty.
notification_contacts = Table(
    "notification_contacts",
    metadata,
    Column(RECIPIENT, Text, primary_key=True),
    Column("language", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("quiet_from", Time),
    Column("quiet_until", Time),
    Column("push", Text),
    Column("sms", Text),
    Column("email", Text),
    Column("choices", JSONB, nullable=False),
    _now("changed_at"),
    Column("changed_by", Text, nullable=False),
    CheckConstraint(
        "(quiet_from IS NULL) = (quiet_until IS NULL)", name="notification_contacts_quiet_check"
    ),
    info={OWNER: RowOwner(party=RECIPIENT)},
)

# The messages, and the queue that senders work off. A lane is a partition: a campaign of millions
# never stands before a transactional message, neither in an index nor in a vacuum.
#
# `source` is what the message is about: the id of an event (`shipment-o1/2`, and `plan-o1/1#2` for
# its second message) or `campaign/{name}/{recipient}`. With the channel it is the key: at most one
# message each. A waiting message is sent from `due_at` on; while a notifier sends it, `due_at` is
# when others may. `body` is empty where the campaign has the text. `address` is where the first try
# went: a try whose outcome is unknown is repeated under the same key with the same content. `round`
# is part of that key, and grows when a person has a message sent anew that the provider had
# refused. `reason` is why a message is where it is, `actor_reason` why a person put it there.
# `traceparent` is the trace of the event that it is about, where that is sampled.
# `traceparent` is the trace of the event it is about, where that is sampled.
notifications = Table(
    "notifications",
    metadata,
    Column("lane", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column(RECIPIENT, Text, nullable=False),
    Column(ABOUT, Text),
    Column("campaign", Text),
    Column("language", Text, nullable=False),
    Column("subject", Text),
    Column("body", Text),
    Column("state", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("round", SmallInteger, nullable=False, server_default=text("1")),
    Column("address", Text),
    Column("provider_id", Text),
    Column("reason", Text),
    Column("actor", Text),
    Column("actor_reason", Text),
    _now("created_at"),
    Column("settled_at", DateTime(timezone=True)),
    Column("traceparent", Text),
    PrimaryKeyConstraint("lane", "source", "channel", name="notifications_pkey"),
    CheckConstraint("channel IN ('push', 'sms', 'email')", name="notifications_channel_check"),
    CheckConstraint(
        "state IN ('waiting', 'sent', 'failed', 'parked', 'withheld', 'withdrawn', 'discarded')",
        name="notifications_state_check",
    ),
    CheckConstraint("body IS NOT NULL OR campaign IS NOT NULL", name="notifications_worded_check"),
    CheckConstraint(
        "state <> 'discarded' OR coalesce(actor, '') <> '' AND coalesce(actor_reason, '') <> ''",
        name="notifications_discarded_by_check",
    ),
    # All that taking a message asks for, in its order: no other index ever looks cheaper, not even
    # to a planner that knows nothing yet of a million rows that came a moment ago.
    Index("notifications_due_idx", "lane", "due_at", postgresql_where=text("state = 'waiting'")),
    Index(
        "notifications_stuck_idx",
        "settled_at",
        "source",
        "channel",
        postgresql_where=text("state IN ('failed', 'parked')"),
    ),
    Index(
        "notifications_reminders_idx",
        ABOUT,
        postgresql_where=text("kind = 'instalment-due' AND state = 'waiting'"),
    ),
    Index("notifications_customer_idx", RECIPIENT, "created_at", "source", "channel"),
    # Rows come in the order of their time: a small index finds the old ones.
    Index("notifications_created_at_idx", "created_at", postgresql_using="brin"),
    postgresql_partition_by="LIST (lane)",
    info={OWNER: RowOwner(party=RECIPIENT)},
)

# A campaign, and how far it was put into the queue: all recipients up to the one in AFTER,
# sorted by id. `rate` is how many messages become due in a second; empty: all at once. The
# next one is due at `next_due_at`.
campaigns = Table(
    "campaigns",
    metadata,
    Column("name", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("texts", JSONB, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("rate", Float),
    Column(AFTER, Text, nullable=False, server_default=""),
    Column("considered", BigInteger, nullable=False, server_default=text("0")),
    Column("enqueued", BigInteger, nullable=False, server_default=text("0")),
    _now("next_due_at"),
    Column("started_by", Text, nullable=False),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
)

# Whom a campaign is for that is not for all.
campaign_audience = Table(
    "campaign_audience",
    metadata,
    Column("campaign", Text, nullable=False),
    Column(RECIPIENT, Text, nullable=False),
    PrimaryKeyConstraint("campaign", RECIPIENT, name="campaign_audience_pkey"),
    info={OWNER: RowOwner(party=RECIPIENT)},
)

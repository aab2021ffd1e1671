"""The tables of webhook endpoints: what tenants registered, and what is to be sent there."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from handrail.access.row_owner import OWNER, RowOwner

metadata = MetaData()


def _now(name: str) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    )


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


# `secret` and `earlier_secret` are sealed; both sign until `earlier_until`. Dispatchers keep what
# is below `next_at`: when there is something to send again (empty: nothing waits), until when the
# endpoint rests, which process sends to it, and how long it has failed.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("state_by", Text, nullable=False),
    Column("state_because", Text, nullable=False),
    _now("state_since"),
    Column("secret", Text, nullable=False),
    Column("earlier_secret", Text),
    _moment("earlier_until"),
    _now("created_at"),
    Column("created_by", Text, nullable=False),
    _moment("next_at"),
    _moment("paused_until"),
    Column("owner", Text),
    _moment("leased_until"),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    _moment("failing_since"),
    Column("last_problem", Text),
    _moment("last_delivered_at"),
    PrimaryKeyConstraint("id", name="webhook_endpoints_pkey"),
    CheckConstraint("tenant <> ''", name="webhook_endpoints_tenant_check"),
    CheckConstraint(
        "state IN ('active', 'disabled', 'deleted')", name="webhook_endpoints_state_check"
    ),
    CheckConstraint(
        "(earlier_secret IS NULL) = (earlier_until IS NULL)", name="webhook_endpoints_earlier_check"
    ),
    # Lists of a tenant, and of all.
    Index("webhook_endpoints_tenant_idx", "tenant", "created_at", "id"),
    Index("webhook_endpoints_created_at_idx", "created_at", "id"),
    Index(
        "webhook_endpoints_next_at_idx",
        "next_at",
        postgresql_where=text("state = 'active' AND next_at IS NOT NULL"),
    ),
    info={OWNER: RowOwner(tenant="tenant")},
)

# An event for an endpoint; its data are read from `events` when it is sent. `position` is 0 of a
# test. A row waits while an earlier one of its stream waits or is parked at the endpoint.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    _now("created_at"),
    _now("due_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _moment("first_attempt_at"),
    _moment("last_attempt_at"),
    Column("status", SmallInteger),
    Column("problem", Text),
    _moment("settled_at"),
    Column("settled_by", Text),
    PrimaryKeyConstraint("endpoint", "id", name="webhook_deliveries_pkey"),
    CheckConstraint(
        "state IN ('waiting', 'delivered', 'parked', 'discarded')",
        name="webhook_deliveries_state_check",
    ),
    CheckConstraint(
        "(settled_at IS NOT NULL) = (state IN ('delivered', 'discarded'))",
        name="webhook_deliveries_settled_check",
    ),
    Index(
        "webhook_deliveries_due_idx",
        "endpoint",
        "due_at",
        "position",
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "webhook_deliveries_stream_idx",
        "endpoint",
        "stream",
        "version",
        postgresql_where=text("state IN ('waiting', 'parked')"),
    ),
    # Parked ones are counted, and worked off; those that stay open too long are found by age.
    Index(
        "webhook_deliveries_parked_idx",
        "created_at",
        "endpoint",
        "id",
        postgresql_where=text("state = 'parked'"),
    ),
    Index(
        "webhook_deliveries_open_idx",
        "created_at",
        postgresql_where=text("state IN ('waiting', 'parked')"),
    ),
    Index(
        "webhook_deliveries_settled_idx",
        "settled_at",
        postgresql_where=text("settled_at IS NOT NULL"),
    ),
    # Lists are newest first.
    Index("webhook_deliveries_created_at_idx", "endpoint", "created_at", "id"),
    info={OWNER: RowOwner(tenant="tenant")},
)

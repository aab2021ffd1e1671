"""What the store keeps of the lake: which events each batch has, fixed before it is written."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)

from handrail.eventstore.tables import PgSnapshot

metadata = MetaData()

# A batch is the `events` events of the feed that follow the cursor (`since`, `until`,
# `after_position`); the next one begins at the other cursor. Its number goes into the log of the
# lake with its events, so whoever finds a batch that is not settled can tell whether it is there.
# `lake` is the id of the Delta table, and `lake_version` the first version that has the batch;
# `epoch` is that of the store whose transaction numbers the snapshots are made of.
lake_batches = Table(
    "lake_batches",
    metadata,
    Column("batch", BigInteger, nullable=False, autoincrement=False),
    Column("lake", Text, nullable=False),
    Column("since", PgSnapshot, nullable=False),
    Column("until", PgSnapshot, nullable=False),
    Column("after_position", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("next_since", PgSnapshot, nullable=False),
    Column("next_until", PgSnapshot),
    Column("next_after", BigInteger, nullable=False),
    Column(
        "cut_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Column("lake_version", BigInteger),
    Column("settled_at", DateTime(timezone=True)),
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("batch", name="lake_batches_pkey"),
    CheckConstraint(
        "(settled_at IS NULL) = (lake_version IS NULL)", name="lake_batches_settled_check"
    ),
)

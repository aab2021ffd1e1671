"""The table of rebuilds that operators requested over HTTP."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)

metadata = MetaData()

# A request to build a read model anew, the last of each. `begun_at` is when a process with the
# owner's login took it, `settled_at` when it ended, and `failed` why it did not end well.
rebuild_requests = Table(
    "rebuild_requests",
    metadata,
    Column("name", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column(
        "requested_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("begun_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    Column("failed", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("name", name="rebuild_requests_pkey"),
    CheckConstraint("actor <> '' AND reason <> ''", name="rebuild_requests_by_check"),
)

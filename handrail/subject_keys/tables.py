"""The table of subjects' keys, as the event store's database has it."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)

metadata = MetaData()

# `wrapped` is the key, encrypted by the line `wrapped_by` of the key file; empty once it was
# destroyed. A subject has at most one key that is not; what it is erased of later gets another one.
subject_keys = Table(
    "subject_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("wrapped", LargeBinary),
    Column("wrapped_by", Text, nullable=False),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("destroyed_at", DateTime(timezone=True)),
    Column("destroyed_by", Text),
    CheckConstraint(
        "(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="subject_keys_destroyed_check"
    ),
    Index(
        "subject_keys_current_idx",
        "subject",
        unique=True,
        postgresql_where=text("destroyed_at IS NULL"),
    ),
    Index("subject_keys_subject_idx", "subject"),
)

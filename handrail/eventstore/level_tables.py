"""The tables of the write levels: which forms may be written, and which process reads which."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

EVERY: Final = "*"
"""In `event_levels`, the message that stands for all without a row: they are at their first form.
There since the first process that knew of levels."""

# The newest version of a message that may be written, by its name. Versions are raised, never
# lowered: what was written once can be written for ever.
event_levels = Table(
    "event_levels",
    metadata,
    Column("event", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("raised_by", Text, nullable=False),
)

# The processes that read events, each with the newest version that it reads under every name that
# has more than one form, and the newest shape that it knows of each type of saga. Renewed every
# few seconds; fillfactor leaves room to do that in place.
process_versions = Table(
    "process_versions",
    metadata,
    Column("process", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reads", JSONB, nullable=False),
    Column("release", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("shapes", JSONB, nullable=False, server_default=text("'{}'")),
    postgresql_with={"fillfactor": 50},
)

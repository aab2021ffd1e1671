"""The table of API keys: what each may do, and the whole story of it."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData()

# A row is never deleted: it says who made a key, who replaced it, and who revoked it. Of the secret
# there is only the SHA-256: it has 256 random bits, so that nothing can be tried out.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("tenant", Text, nullable=False, server_default=text("''")),
    Column("party", Text, nullable=False, server_default=text("''")),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("created_by", Text, nullable=False),
    Column("replaces", Text),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_by", Text),
    Column("revoked_because", Text),
    ForeignKeyConstraint(["replaces"], ["api_keys.id"], name="api_keys_replaces_fkey"),
    CheckConstraint("kind IN ('person', 'service', 'company')", name="api_keys_kind_check"),
    CheckConstraint("octet_length(secret_hash) = 32", name="api_keys_secret_hash_check"),
    CheckConstraint(
        "(revoked_at IS NULL) = (revoked_by IS NULL)"
        " AND (revoked_at IS NULL) = (revoked_because IS NULL)",
        name="api_keys_revoked_by_check",
    ),
    # A name has few keys, which are counted when another is made.
    Index("api_keys_name_idx", "name"),
)

# When a key was used last, apart from what it may do: the API writes this, and may not write that.
api_key_uses = Table(
    "api_key_uses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
)

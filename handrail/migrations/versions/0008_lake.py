"""The batches of events that go to the lake."""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE lake_batches (
    batch bigint NOT NULL,
    lake text NOT NULL,
    since pg_snapshot NOT NULL,
    until pg_snapshot NOT NULL,
    after_position bigint NOT NULL,
    events integer NOT NULL,
    next_since pg_snapshot NOT NULL,
    next_until pg_snapshot,
    next_after bigint NOT NULL,
    cut_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    lake_version bigint,
    settled_at timestamptz,
    CONSTRAINT lake_batches_pkey PRIMARY KEY (batch),
    CONSTRAINT lake_batches_settled_check CHECK ((settled_at IS NULL) = (lake_version IS NULL))
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE lake_batches")

"""Snapshots of rows for as-of reads, and the indexes by which what is over is found and deleted."""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = """
CREATE TABLE row_snapshots (
    projection text NOT NULL,
    id text NOT NULL,
    version integer NOT NULL,
    position bigint NOT NULL,
    versions jsonb NOT NULL,
    state jsonb NOT NULL,
    taken_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT row_snapshots_pkey PRIMARY KEY (projection, id, version, position)
);
CREATE INDEX row_snapshots_taken_at_idx ON row_snapshots (taken_at);

"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE row_snapshots")

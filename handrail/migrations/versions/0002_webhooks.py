"""What other companies tell us."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE webhooks (
    source text NOT NULL,
    id text NOT NULL,
    received_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    type text NOT NULL,
    order_id text,
    body bytea NOT NULL,
    status text NOT NULL,
    problem text,
    CONSTRAINT webhooks_pkey PRIMARY KEY (source, id),
    CONSTRAINT webhooks_source_check CHECK (source IN ('bank', 'carrier')),
    CONSTRAINT webhooks_status_check CHECK (status IN ('accepted', 'unknown', 'waiting'))
);
CREATE INDEX webhooks_received_at_idx ON webhooks (received_at, source, id);
CREATE INDEX webhooks_status_idx ON webhooks (status, received_at, source, id);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE webhooks")

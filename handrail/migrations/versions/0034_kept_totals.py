"""Kept totals: what read models added up to at a checkpoint, for sums as of a moment."""

from alembic import op

revision = "0034"
down_revision = "0033"

UP = """
CREATE TABLE kept_totals (
    read_model text NOT NULL,
    version integer NOT NULL,
    epoch integer NOT NULL,
    position bigint NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    checkpoints jsonb NOT NULL,
    totals jsonb NOT NULL,
    CONSTRAINT kept_totals_pkey PRIMARY KEY (read_model, version, epoch, position)
);
CREATE INDEX kept_totals_kept_at_idx ON kept_totals (kept_at);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE kept_totals")

"""Webhooks of any source: which there are, the App says, and no longer the table."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE webhooks DROP CONSTRAINT webhooks_source_check,"
        " ADD CONSTRAINT webhooks_source_check CHECK (char_length(source) BETWEEN 1 AND 64)"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE webhooks DROP CONSTRAINT webhooks_source_check,"
        " ADD CONSTRAINT webhooks_source_check CHECK (source IN ('bank', 'carrier'))"
    )

"""The newest shapes of sagas that each process knows: what begins is to be known to all workers."""

from alembic import op

revision = "0044"
down_revision = "0038"


def upgrade() -> None:
    op.execute("ALTER TABLE process_versions ADD COLUMN shapes jsonb DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE process_versions DROP COLUMN shapes")

"""The trace that a message belongs to: processes of the release before write and read none."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.execute("ALTER TABLE notifications ADD COLUMN traceparent text")


def downgrade() -> None:
    op.execute("ALTER TABLE notifications DROP COLUMN traceparent")

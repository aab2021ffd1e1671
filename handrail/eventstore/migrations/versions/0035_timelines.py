"""Webhooks and notifications are found by what they are about, for the timeline of an entity.

The indexes are not built beside writers: rows are kept for 30 and for 90 days, and each is small.
"""

from alembic import op

revision = "0035"
down_revision = "0034"

UP = """
SET LOCAL lock_timeout = '5s';
CREATE INDEX webhooks_subject_idx ON webhooks (order_id, received_at)
    WHERE order_id IS NOT NULL;
CREATE INDEX notifications_about_idx ON notifications (order_id, created_at)
    WHERE order_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP INDEX webhooks_subject_idx, notifications_about_idx")

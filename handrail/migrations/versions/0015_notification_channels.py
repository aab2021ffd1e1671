"""How recipients can be reached, without where: for operators, who start campaigns."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute(
        """
        CREATE OR REPLACE VIEW notification_channels AS
        SELECT customer, language, choices, push IS NOT NULL AS push, sms IS NOT NULL AS sms,
               email IS NOT NULL AS email
        FROM notification_contacts
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW notification_channels")

"""The keys under which personal texts are sealed, one for each subject, wrapped."""

from alembic import op

from handrail.subject_keys.key_table import TABLE

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE subject_keys")

"""Nothing in a transaction: the index by which webhooks are found by what they are about is built
once the migration has committed, beside the writers of a store in use
(`handrail/eventstore/indexes_in_use.py`).
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    pass


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS webhooks_subject_idx")

"""Nothing in a transaction: the indexes by which events are searched, by actor and by correlation,
are built once the migration has committed, beside the writers of a store in use
(`handrail/eventstore/indexes_in_use.py`).
"""

from alembic import op

revision = "0026"
down_revision = "0021"


def upgrade() -> None:
    pass


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS events_actor_idx, events_correlation_idx")

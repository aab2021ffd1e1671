"""Indexes by which events are searched: by their actor, and by what they correlate with.

Of a store that has events already they are built once the migration has committed, beside its
writers (`handrail/eventstore/indexes_in_use.py`).
"""

from alembic import op

revision = "0026"
down_revision = "0021"

UP = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM events) THEN
        CREATE INDEX events_actor_idx ON events ((metadata ->> 'actor'), position);
        CREATE INDEX events_correlation_idx ON events ((metadata ->> 'correlation'), position);
    END IF;
END $$
"""

DOWN = "DROP INDEX IF EXISTS events_actor_idx, events_correlation_idx"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)

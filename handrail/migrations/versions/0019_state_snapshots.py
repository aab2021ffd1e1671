"""Folded states of long streams by the revision of the fold. `snapshots` stays for processes of
before, which know one state of a stream; it goes once no such process runs any more.
"""

from alembic import op

revision = "0019"
down_revision = "0018"

TABLE = """
CREATE TABLE IF NOT EXISTS state_snapshots (
    stream text NOT NULL,
    revision text NOT NULL,
    version bigint NOT NULL,
    state jsonb NOT NULL,
    kept_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT state_snapshots_pkey PRIMARY KEY (stream, revision)
)
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS load_states(text[], bigint[], text)")
    op.execute("DROP TABLE state_snapshots")

"""Moments: what had been committed when, kept once a second while something happens."""

from alembic import op

revision = "0027"
down_revision = "0026"

UP = """
CREATE TABLE moments (
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    snapshot pg_snapshot NOT NULL,
    position bigint NOT NULL,
    epoch integer NOT NULL,
    CONSTRAINT moments_pkey PRIMARY KEY (at)
) WITH (fillfactor = 90);
"""

DOWN = """
DROP FUNCTION IF EXISTS keep_moment();
DROP TABLE moments;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)

"""Everybody who follows the feed, the read models' projectors and others.

Where there are read models, there is a table of their projectors: it becomes that of all followers.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

UP = """
ALTER TABLE IF EXISTS projectors RENAME TO followers;
CREATE TABLE IF NOT EXISTS followers (
    owner text NOT NULL,
    serves text NOT NULL,
    alive_until timestamptz NOT NULL,
    CONSTRAINT followers_pkey PRIMARY KEY (owner)
) WITH (fillfactor = 50);
ALTER INDEX IF EXISTS projectors_pkey RENAME TO followers_pkey;
"""

DOWN = """
ALTER TABLE followers RENAME TO projectors;
ALTER INDEX followers_pkey RENAME TO projectors_pkey;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)

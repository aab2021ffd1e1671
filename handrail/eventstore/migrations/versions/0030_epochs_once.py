"""Epochs and positions that were lost with a server are not given out again.

`adopt_store` takes one parameter more, with a default; the function of before would be another one.
"""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS adopt_store(text, text)")


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS adopt_store(text, text, int)")

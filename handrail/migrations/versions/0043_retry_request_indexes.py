"""Nothing in a transaction: the indexes by which requests to retry are worked off and pruned are
built once the migration has committed (`handrail/eventstore/indexes_in_use.py`).
"""

from alembic import op

revision = "0043"
down_revision = "0038"


def upgrade() -> None:
    pass


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS retry_requests_unsettled_idx, retry_requests_settled_idx")

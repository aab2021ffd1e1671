"""The database of each epoch: a copy by CREATE DATABASE … TEMPLATE is another store.

Of the epoch that there is, it is the database that is migrated; of earlier ones nobody knows it.
"""

from alembic import op

revision = "0045"
down_revision = "0044"

UP = """
ALTER TABLE store_epochs ADD COLUMN database_oid bigint;
UPDATE store_epochs SET database_oid = (
    SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database())
WHERE epoch = (SELECT max(epoch) FROM store_epochs) AND system_identifier <> 0;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("ALTER TABLE store_epochs DROP COLUMN database_oid")

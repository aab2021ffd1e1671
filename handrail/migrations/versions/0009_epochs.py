"""The epochs of the store: which server it is, and since when; and the epoch of each checkpoint."""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = """
CREATE TABLE store_epochs (
    epoch integer NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    events_oid bigint NOT NULL,
    restored_position bigint NOT NULL,
    first_position bigint NOT NULL,
    renumbered boolean DEFAULT false NOT NULL,
    began_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    cause text NOT NULL,
    decided_by text NOT NULL,
    CONSTRAINT store_epochs_pkey PRIMARY KEY (epoch),
    CONSTRAINT store_epochs_positions_check CHECK (first_position > restored_position)
);
ALTER TABLE checkpoints ADD COLUMN epoch integer DEFAULT 1 NOT NULL;
ALTER TABLE lake_batches ADD COLUMN epoch integer DEFAULT 1 NOT NULL;
"""

DOWN = """
ALTER TABLE lake_batches DROP COLUMN epoch;
ALTER TABLE checkpoints DROP COLUMN epoch;
DROP TABLE store_epochs;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)

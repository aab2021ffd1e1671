"""The types a consumer wants, beside its checkpoint, and its backfills."""

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = """
CREATE TABLE consumer_wants (
    consumer text NOT NULL,
    type text NOT NULL,
    wanted_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT consumer_wants_pkey PRIMARY KEY (consumer, type)
);

CREATE TABLE consumer_backfills (
    consumer text NOT NULL,
    type text NOT NULL,
    shard smallint NOT NULL,
    since pg_snapshot NOT NULL,
    until pg_snapshot,
    after_position bigint DEFAULT 0 NOT NULL,
    from_position bigint DEFAULT 0 NOT NULL,
    again boolean DEFAULT false NOT NULL,
    begun_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    actor text,
    reason text,
    CONSTRAINT consumer_backfills_pkey PRIMARY KEY (consumer, type, shard),
    CONSTRAINT consumer_backfills_again_by_check CHECK (
        NOT again OR (coalesce(actor, '') <> '' AND coalesce(reason, '') <> ''))
);

CREATE INDEX parked_messages_settled_idx ON parked_messages (consumer, settled_at)
    WHERE settled_at IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute(
        "DROP INDEX parked_messages_settled_idx; DROP TABLE consumer_backfills, consumer_wants"
    )

"""The event store as it began."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE streams (
    name text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (name)
) WITH (fillfactor = 70);

CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    txid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    shard smallint NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (position),
    CONSTRAINT events_stream_version_key UNIQUE (stream, version)
);

CREATE TABLE outbox (
    position bigint NOT NULL,
    txid xid8 NOT NULL,
    shard smallint NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (position)
) PARTITION BY RANGE (position);
CREATE INDEX outbox_txid_idx ON outbox (txid, position);
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;

CREATE TABLE commands (
    opened_on date NOT NULL,
    saga text NOT NULL,
    attempt integer NOT NULL,
    step text NOT NULL,
    direction text NOT NULL,
    answer jsonb,
    closed boolean DEFAULT false NOT NULL,
    txid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    recorded_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (opened_on, saga, attempt, step, direction),
    CONSTRAINT commands_direction_check CHECK (direction IN ('do', 'undo')),
    CONSTRAINT commands_answered_or_closed_check CHECK (answer IS NOT NULL OR closed)
) PARTITION BY RANGE (opened_on);
CREATE TABLE commands_default PARTITION OF commands DEFAULT;

CREATE TABLE checkpoints (
    projection text NOT NULL,
    shard smallint NOT NULL,
    since pg_snapshot NOT NULL,
    until pg_snapshot,
    after_position bigint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    owner text,
    leased_until timestamptz,
    moved_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (projection, shard)
) WITH (fillfactor = 50);

CREATE TABLE snapshots (
    stream text NOT NULL,
    version bigint NOT NULL,
    fingerprint text NOT NULL,
    state jsonb NOT NULL,
    PRIMARY KEY (stream)
);

CREATE TABLE parked_events (
    projection text NOT NULL,
    stream text NOT NULL,
    position bigint NOT NULL,
    cause text NOT NULL,
    parked_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT parked_events_pkey PRIMARY KEY (projection, stream, position)
);

CREATE TABLE requests (
    route text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    claimed_until timestamptz NOT NULL,
    status smallint,
    headers jsonb,
    body jsonb,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (route, key)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("events are never dropped: restore a backup instead")

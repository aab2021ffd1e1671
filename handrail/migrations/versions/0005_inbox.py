"""What consumers have handled, and the messages that wait for a person."""

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = """
CREATE TABLE inbox (
    consumer text NOT NULL,
    id text NOT NULL,
    received_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT inbox_pkey PRIMARY KEY (consumer, id)
);
CREATE INDEX inbox_received_at_idx ON inbox USING brin (received_at);

CREATE TABLE parked_streams (
    consumer text NOT NULL,
    stream text NOT NULL,
    parked_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT parked_streams_pkey PRIMARY KEY (consumer, stream)
);

CREATE TABLE parked_messages (
    consumer text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    recorded_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    data jsonb NOT NULL,
    cause text NOT NULL,
    attempts integer NOT NULL,
    parked_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    settled_at timestamptz,
    settled_as text,
    actor text,
    reason text,
    CONSTRAINT parked_messages_pkey PRIMARY KEY (consumer, stream, version),
    CONSTRAINT parked_messages_settled_as_check CHECK (settled_as IN ('handled', 'discarded')),
    CONSTRAINT parked_messages_settled_by_check CHECK (
        (settled_at IS NULL) = (settled_as IS NULL)
        AND (settled_at IS NULL OR (coalesce(actor, '') <> '' AND coalesce(reason, '') <> ''))
    )
);
CREATE INDEX parked_messages_waiting_idx ON parked_messages (consumer, stream, version)
    WHERE settled_at IS NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE inbox, parked_streams, parked_messages")

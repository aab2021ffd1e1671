"""What was done to dead and unrouted messages of the broker, with their originals."""

from alembic import op

revision = "0032"
down_revision = "0029"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE dead_message_acts (
            id bigint GENERATED ALWAYS AS IDENTITY,
            act text NOT NULL,
            vhost text NOT NULL,
            queue text NOT NULL,
            message text NOT NULL,
            message_id text NOT NULL,
            exchange text NOT NULL,
            routing_key text NOT NULL,
            headers jsonb NOT NULL,
            body bytea NOT NULL,
            edited bytea,
            sent_to text[] NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            settled_at timestamptz,
            CONSTRAINT dead_message_acts_pkey PRIMARY KEY (id),
            CONSTRAINT dead_message_acts_act_check CHECK (act IN ('redrive', 'edit', 'discard')),
            CONSTRAINT dead_message_acts_by_check CHECK (actor <> '' AND reason <> '')
        )
        """
    )
    op.execute("CREATE INDEX dead_message_acts_at_idx ON dead_message_acts (at)")
    op.execute("CREATE INDEX dead_message_acts_queue_idx ON dead_message_acts (vhost, queue, id)")


def downgrade() -> None:
    op.execute("DROP TABLE dead_message_acts")

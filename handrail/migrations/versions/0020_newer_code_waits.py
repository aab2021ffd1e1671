"""What waits for newer code, process by process, and which forms operators have parked instead."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE newer_code_waits (
            subscriber text NOT NULL,
            shard smallint NOT NULL,
            owner text NOT NULL,
            type text NOT NULL,
            schema smallint NOT NULL,
            stream text NOT NULL,
            position bigint NOT NULL,
            since timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT newer_code_waits_pkey PRIMARY KEY (subscriber, shard, owner)
        );
        CREATE TABLE newer_code_decisions (
            subscriber text NOT NULL,
            type text NOT NULL,
            schema smallint NOT NULL,
            decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            parks boolean NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            CONSTRAINT newer_code_decisions_pkey
                PRIMARY KEY (subscriber, type, schema, decided_at),
            CONSTRAINT newer_code_decisions_by_check CHECK (actor <> '' AND reason <> '')
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE newer_code_waits, newer_code_decisions")

"""Rebuilds of read models that are requested over HTTP, until they are done."""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE rebuild_requests (
            name text NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            begun_at timestamptz,
            settled_at timestamptz,
            failed text NOT NULL DEFAULT '',
            CONSTRAINT rebuild_requests_pkey PRIMARY KEY (name),
            CONSTRAINT rebuild_requests_by_check CHECK (actor <> '' AND reason <> '')
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE rebuild_requests")

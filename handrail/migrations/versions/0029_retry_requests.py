"""Retries that are requested over HTTP, until the process that can do them has done them."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE retry_requests (
            subscriber text NOT NULL,
            stream text NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            settled_at timestamptz,
            handled bigint,
            stopped_by text,
            CONSTRAINT retry_requests_pkey PRIMARY KEY (subscriber, stream),
            CONSTRAINT retry_requests_by_check CHECK (actor <> '' AND reason <> '')
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE retry_requests")

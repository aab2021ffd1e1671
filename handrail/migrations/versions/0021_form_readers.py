"""Which queues were bound to which form of an event, and when that was last seen."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE form_readers (
            type text NOT NULL,
            schema smallint NOT NULL,
            reader text NOT NULL,
            first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT form_readers_pkey PRIMARY KEY (type, schema, reader)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE form_readers")

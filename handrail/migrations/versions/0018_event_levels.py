"""Which forms of messages may be written, and which process reads which."""

from alembic import op

revision = "0018"
down_revision = "0017"

TABLES = """
CREATE TABLE event_levels (
    event text NOT NULL,
    version integer NOT NULL,
    raised_at timestamptz DEFAULT now() NOT NULL,
    raised_by text NOT NULL,
    CONSTRAINT event_levels_pkey PRIMARY KEY (event)
);

CREATE TABLE process_versions (
    process text NOT NULL,
    kind text NOT NULL,
    reads jsonb NOT NULL,
    release text NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT process_versions_pkey PRIMARY KEY (process)
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE process_versions, event_levels")

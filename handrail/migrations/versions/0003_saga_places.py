"""How many sagas of one merchant may run at the same time."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE saga_places (
    merchant text NOT NULL,
    saga text NOT NULL,
    taken_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT saga_places_pkey PRIMARY KEY (merchant, saga)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE saga_places")

"""The ledger that finance keeps from events, and the warehouse's packing lists."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE ledger_lines (
    event text NOT NULL,
    line smallint NOT NULL,
    account text NOT NULL,
    party text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    about text NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT ledger_lines_pkey PRIMARY KEY (event, line)
);
CREATE INDEX ledger_lines_account_idx ON ledger_lines (account, party);
CREATE INDEX ledger_lines_about_idx ON ledger_lines (about) WHERE about <> '';

CREATE TABLE packing_lines (
    order_id text NOT NULL,
    merchant text NOT NULL,
    sku text NOT NULL,
    to_pack bigint NOT NULL,
    packed bigint NOT NULL,
    came_back bigint NOT NULL,
    CONSTRAINT packing_lines_pkey PRIMARY KEY (order_id, merchant, sku)
);

CREATE TABLE packing_lists (
    order_id text NOT NULL,
    state text NOT NULL,
    booking text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (order_id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE ledger_lines, packing_lines, packing_lists")

"""Finance's ledger, the warehouse's packing lists, and what reminders are made from.

Databases that were migrated when these tables stood in the library's line have them already.
"""

from alembic import op

revision = "shop_0001"
down_revision = None
branch_labels = ("shop",)
depends_on = "0012"

TABLES = """
CREATE TABLE IF NOT EXISTS notification_orders (
    order_id text NOT NULL,
    customer text,
    PRIMARY KEY (order_id)
);

CREATE TABLE IF NOT EXISTS notification_early (
    order_id text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    recorded_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    data jsonb NOT NULL,
    CONSTRAINT notification_early_pkey PRIMARY KEY (order_id, stream, version)
);

CREATE TABLE IF NOT EXISTS notification_instalments (
    order_id text NOT NULL,
    number integer NOT NULL,
    due date NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    CONSTRAINT notification_instalments_pkey PRIMARY KEY (order_id, number)
);

CREATE TABLE IF NOT EXISTS ledger_lines (
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
CREATE INDEX IF NOT EXISTS ledger_lines_account_idx ON ledger_lines (account, party);
CREATE INDEX IF NOT EXISTS ledger_lines_about_idx ON ledger_lines (about) WHERE about <> '';

CREATE TABLE IF NOT EXISTS packing_lines (
    order_id text NOT NULL,
    merchant text NOT NULL,
    sku text NOT NULL,
    to_pack bigint NOT NULL,
    packed bigint NOT NULL,
    came_back bigint NOT NULL,
    CONSTRAINT packing_lines_pkey PRIMARY KEY (order_id, merchant, sku)
);

CREATE TABLE IF NOT EXISTS packing_lists (
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
    op.execute(
        "DROP TABLE ledger_lines, packing_lines, packing_lists,"
        " notification_instalments, notification_early, notification_orders"
    )

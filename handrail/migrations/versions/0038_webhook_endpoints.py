"""Webhook endpoints of tenants, and what is to be sent to each."""

from alembic import op

revision = "0038"
down_revision = "0035"

TABLES = """
CREATE TABLE webhook_endpoints (
    id text NOT NULL,
    tenant text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    events text[] NOT NULL,
    state text DEFAULT 'active' NOT NULL,
    state_by text NOT NULL,
    state_because text NOT NULL,
    state_since timestamptz DEFAULT clock_timestamp() NOT NULL,
    secret text NOT NULL,
    earlier_secret text,
    earlier_until timestamptz,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    next_at timestamptz,
    paused_until timestamptz,
    owner text,
    leased_until timestamptz,
    failures integer DEFAULT 0 NOT NULL,
    failing_since timestamptz,
    last_problem text,
    last_delivered_at timestamptz,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_tenant_check CHECK (tenant <> ''),
    CONSTRAINT webhook_endpoints_state_check CHECK (state IN ('active', 'disabled', 'deleted')),
    CONSTRAINT webhook_endpoints_earlier_check
        CHECK ((earlier_secret IS NULL) = (earlier_until IS NULL))
);

CREATE INDEX webhook_endpoints_tenant_idx ON webhook_endpoints (tenant, created_at, id);
CREATE INDEX webhook_endpoints_created_at_idx ON webhook_endpoints (created_at, id);
CREATE INDEX webhook_endpoints_next_at_idx ON webhook_endpoints (next_at)
    WHERE state = 'active' AND next_at IS NOT NULL;

CREATE TABLE webhook_deliveries (
    endpoint text NOT NULL,
    id text NOT NULL,
    tenant text NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    state text DEFAULT 'waiting' NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    due_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    first_attempt_at timestamptz,
    last_attempt_at timestamptz,
    status smallint,
    problem text,
    settled_at timestamptz,
    settled_by text,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint, id),
    CONSTRAINT webhook_deliveries_state_check
        CHECK (state IN ('waiting', 'delivered', 'parked', 'discarded')),
    CONSTRAINT webhook_deliveries_settled_check
        CHECK ((settled_at IS NOT NULL) = (state IN ('delivered', 'discarded')))
);

CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (endpoint, due_at, position)
    WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_stream_idx ON webhook_deliveries (endpoint, stream, version)
    WHERE state IN ('waiting', 'parked');
CREATE INDEX webhook_deliveries_parked_idx ON webhook_deliveries (created_at, endpoint, id)
    WHERE state = 'parked';
CREATE INDEX webhook_deliveries_open_idx ON webhook_deliveries (created_at)
    WHERE state IN ('waiting', 'parked');
CREATE INDEX webhook_deliveries_settled_idx ON webhook_deliveries (settled_at)
    WHERE settled_at IS NOT NULL;
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (endpoint, created_at, id);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE webhook_deliveries, webhook_endpoints")

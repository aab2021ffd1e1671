"""Messages to customers: how they want them, a queue with two lanes, and campaigns."""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = """
CREATE TABLE notification_contacts (
    customer text NOT NULL,
    language text NOT NULL,
    time_zone text NOT NULL,
    quiet_from time,
    quiet_until time,
    push text,
    sms text,
    email text,
    choices jsonb NOT NULL,
    changed_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (customer),
    CONSTRAINT notification_contacts_quiet_check
        CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
);

CREATE TABLE notifications (
    lane text NOT NULL,
    source text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    customer text NOT NULL,
    order_id text,
    campaign text,
    language text NOT NULL,
    subject text,
    body text,
    state text NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz,
    attempts smallint DEFAULT 0 NOT NULL,
    round smallint DEFAULT 1 NOT NULL,
    address text,
    provider_id text,
    reason text,
    actor text,
    actor_reason text,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    settled_at timestamptz,
    CONSTRAINT notifications_pkey PRIMARY KEY (lane, source, channel),
    CONSTRAINT notifications_channel_check CHECK (channel IN ('push', 'sms', 'email')),
    CONSTRAINT notifications_state_check CHECK (state IN
        ('waiting', 'sent', 'failed', 'parked', 'withheld', 'withdrawn', 'discarded')),
    CONSTRAINT notifications_worded_check CHECK (body IS NOT NULL OR campaign IS NOT NULL),
    CONSTRAINT notifications_discarded_by_check
        CHECK (state <> 'discarded' OR coalesce(actor, '') <> ''
            AND coalesce(actor_reason, '') <> '')
) PARTITION BY LIST (lane);
CREATE INDEX notifications_due_idx ON notifications (lane, due_at) WHERE state = 'waiting';
CREATE INDEX notifications_stuck_idx ON notifications (settled_at, source, channel)
    WHERE state IN ('failed', 'parked');
CREATE INDEX notifications_reminders_idx ON notifications (order_id)
    WHERE kind = 'instalment-due' AND state = 'waiting';
CREATE INDEX notifications_customer_idx ON notifications (customer, created_at, source, channel);
CREATE INDEX notifications_created_at_idx ON notifications USING brin (created_at);

-- A queue is rewritten all the time: vacuum it long before a fifth of it is dead.
CREATE TABLE notifications_transactional PARTITION OF notifications
    FOR VALUES IN ('transactional') WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE notifications_campaign PARTITION OF notifications
    FOR VALUES IN ('campaign') WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE campaigns (
    name text NOT NULL,
    channel text NOT NULL,
    texts jsonb NOT NULL,
    listed boolean NOT NULL,
    fingerprint text NOT NULL,
    rate double precision,
    after_customer text DEFAULT '' NOT NULL,
    considered bigint DEFAULT 0 NOT NULL,
    enqueued bigint DEFAULT 0 NOT NULL,
    next_due_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    started_by text NOT NULL,
    started_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (name)
);

CREATE TABLE campaign_audience (
    campaign text NOT NULL,
    customer text NOT NULL,
    CONSTRAINT campaign_audience_pkey PRIMARY KEY (campaign, customer)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE campaign_audience, campaigns, notifications, notification_contacts")

"""API keys: a hash of each secret, what the key may do, and who made and revoked it."""

from alembic import op

revision = "0014"
down_revision = "0013"

TABLE = """
CREATE TABLE api_keys (
    id text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    secret_hash bytea NOT NULL,
    roles text[] NOT NULL,
    scopes text[] NOT NULL,
    tenant text DEFAULT '' NOT NULL,
    party text DEFAULT '' NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    replaces text,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_by text,
    revoked_because text,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_replaces_fkey FOREIGN KEY (replaces) REFERENCES api_keys (id),
    CONSTRAINT api_keys_kind_check CHECK (kind IN ('person', 'service', 'company')),
    CONSTRAINT api_keys_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT api_keys_revoked_by_check CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL)
        AND (revoked_at IS NULL) = (revoked_because IS NULL))
);

CREATE INDEX api_keys_name_idx ON api_keys (name);

CREATE TABLE api_key_uses (
    id text NOT NULL,
    last_used_at timestamptz NOT NULL,
    CONSTRAINT api_key_uses_pkey PRIMARY KEY (id)
);
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE api_key_uses, api_keys")

"""What outlives a month of the fence, how long a lease is, and indexes for what is pruned."""

from alembic import op

revision = "0010"
down_revision = "0009"

UP = """
CREATE TABLE long_attempts (
    opened_on date NOT NULL,
    saga text NOT NULL,
    attempt integer NOT NULL,
    written_on date NOT NULL
);
CREATE INDEX long_attempts_idx ON long_attempts (opened_on, saga, attempt, written_on);
-- Until now nothing was noted: of the attempts that are old, those that wrote lately may ask.
INSERT INTO long_attempts (opened_on, saga, attempt, written_on)
SELECT c.opened_on, c.saga, c.attempt, max(c.recorded_at)::date FROM commands c
WHERE c.recorded_at > c.opened_on + interval '3 days'
GROUP BY c.opened_on, c.saga, c.attempt;

CREATE TABLE fence_walks (
    partition text NOT NULL,
    opened_on date,
    saga text,
    attempt integer,
    finished boolean NOT NULL,
    CONSTRAINT fence_walks_pkey PRIMARY KEY (partition)
);

ALTER TABLE checkpoints ADD COLUMN lease interval;

CREATE INDEX parked_events_id_idx
    ON parked_events (projection, substr(stream, strpos(stream, '-') + 1));
CREATE INDEX requests_created_at_idx ON requests (created_at);
CREATE INDEX saga_places_taken_at_idx ON saga_places (taken_at);
"""

DOWN = """
DROP INDEX saga_places_taken_at_idx, requests_created_at_idx, parked_events_id_idx;
ALTER TABLE checkpoints DROP COLUMN lease;
DROP TABLE fence_walks, long_attempts;
DROP FUNCTION IF EXISTS walk_commands, drop_month, lets_go;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)

"""The types a consumer wants, beside its checkpoint; what packing lists were made from."""

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = """
CREATE TABLE consumer_wants (
    consumer text NOT NULL,
    type text NOT NULL,
    wanted_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT consumer_wants_pkey PRIMARY KEY (consumer, type)
);

CREATE TABLE consumer_backfills (
    consumer text NOT NULL,
    type text NOT NULL,
    shard smallint NOT NULL,
    since pg_snapshot NOT NULL,
    until pg_snapshot,
    after_position bigint DEFAULT 0 NOT NULL,
    from_position bigint DEFAULT 0 NOT NULL,
    again boolean DEFAULT false NOT NULL,
    begun_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    actor text,
    reason text,
    CONSTRAINT consumer_backfills_pkey PRIMARY KEY (consumer, type, shard),
    CONSTRAINT consumer_backfills_again_by_check CHECK (
        NOT again OR (coalesce(actor, '') <> '' AND coalesce(reason, '') <> ''))
);

ALTER TABLE packing_lists
    ADD COLUMN made_from bigint DEFAULT 0 NOT NULL,
    ADD COLUMN booked_from bigint DEFAULT 0 NOT NULL;

ALTER TABLE notification_orders ADD COLUMN plan_from bigint DEFAULT 0 NOT NULL;

CREATE INDEX parked_messages_settled_idx ON parked_messages (consumer, settled_at)
    WHERE settled_at IS NOT NULL;
"""

# Of consumers that have begun: what the code before this revision wanted.
WANTED = """
INSERT INTO consumer_wants (consumer, type)
SELECT w.consumer, w.type
FROM (
    SELECT 'finance' AS consumer, unnest(ARRAY[
        'AdjustmentReverted', 'InstalmentCollected', 'LateFeeCharged', 'PayableAccrued',
        'PayableClawedBack', 'PaymentCaptured', 'PaymentDisputed', 'PaymentRefunded',
        'PayoutCancelled', 'PayoutPrepared', 'PayoutTransferred', 'PlanAdjusted', 'PlanOpened',
        'PlanSettled', 'PlanWrittenOff', 'RefundPaid']) AS type
    UNION ALL
    SELECT 'logistics', unnest(ARRAY[
        'ShipmentBooked', 'ShipmentCancelled', 'ShipmentDelivered', 'ShipmentDispatched',
        'ShipmentLost', 'StockReleased', 'StockReserved', 'StockReturned', 'StockShipped'])
    UNION ALL
    SELECT 'notifications', unnest(ARRAY[
        'AdjustmentReverted', 'InstalmentCollected', 'InstalmentMissed', 'InstalmentRescheduled',
        'LateFeeCharged', 'OrderConfirmed', 'OrderPlaced', 'OrderRejected', 'PlanAdjusted',
        'PlanOpened', 'PlanSettled', 'PlanWrittenOff', 'RefundPaid', 'ReturnAccepted',
        'ReturnRefused', 'ReviewRequested', 'ShipmentDelivered', 'ShipmentDispatched',
        'ShipmentLost'])
) AS w
WHERE EXISTS (SELECT FROM checkpoints c WHERE c.projection = 'consumer/' || w.consumer);
"""

# The event that a list shows: its kind, its booking and its time are in the list.
MADE_FROM = """
UPDATE packing_lists l SET made_from = e.version
FROM (
    SELECT e.stream, max(e.version) AS version FROM packing_lists l
    JOIN events e ON e.stream = 'shipment-' || l.order_id
    WHERE CASE l.state
        WHEN 'to pack' THEN e.type = 'ShipmentBooked' AND e.recorded_at = l.changed_at
        WHEN 'cancelled' THEN e.type = 'ShipmentCancelled' AND e.recorded_at = l.changed_at
        WHEN 'dispatched' THEN e.type = 'ShipmentDispatched'
            AND (e.data ->> 'at')::timestamptz = l.changed_at
        WHEN 'delivered' THEN e.type = 'ShipmentDelivered'
            AND (e.data ->> 'at')::timestamptz = l.changed_at
        WHEN 'lost' THEN e.type = 'ShipmentLost' AND (e.data ->> 'at')::timestamptz = l.changed_at
        END
    GROUP BY e.stream
) AS e
WHERE e.stream = 'shipment-' || l.order_id;

UPDATE packing_lists l SET booked_from = e.version
FROM (
    SELECT e.stream, max(e.version) AS version FROM packing_lists l
    JOIN events e ON e.stream = 'shipment-' || l.order_id
    WHERE e.type = 'ShipmentBooked' AND e.data ->> 'booking' = l.booking
    GROUP BY e.stream
) AS e
WHERE e.stream = 'shipment-' || l.order_id;
"""


# The inbox tells which events of a plan were handled; of old ones it knows nothing any more.
PLAN_FROM = """
UPDATE notification_orders o SET plan_from = p.version
FROM (
    SELECT i.order_id, max(e.version) AS version
    FROM (SELECT DISTINCT order_id FROM notification_instalments) AS i
    JOIN events e ON e.stream = 'plan-' || i.order_id AND e.type IN (
        'PlanOpened', 'InstalmentCollected', 'InstalmentRescheduled', 'PlanSettled',
        'PlanWrittenOff', 'PlanAdjusted', 'AdjustmentReverted')
    JOIN inbox n ON n.consumer = 'notifications' AND n.id = e.stream || '/' || e.version
    GROUP BY i.order_id
) AS p
WHERE p.order_id = o.order_id;
"""


def upgrade() -> None:
    for statements in (TABLES, WANTED, MADE_FROM, PLAN_FROM):
        op.execute(statements)


def downgrade() -> None:
    op.execute(
        "DROP INDEX parked_messages_settled_idx;"
        " ALTER TABLE notification_orders DROP COLUMN plan_from;"
        " ALTER TABLE packing_lists DROP COLUMN booked_from, DROP COLUMN made_from;"
        " DROP TABLE consumer_backfills, consumer_wants"
    )

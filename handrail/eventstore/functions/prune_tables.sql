-- Deletes what is older than its retention, the oldest first and at most 10000 rows of each table. For the
-- process that calls it every minute, which can choose nothing. How long everything is kept, and why:
-- `handrail/docs_pages/retention.py`.
--
-- Not by clock_timestamp(): it may change from row to row, so no index finds what is older.
CREATE OR REPLACE FUNCTION prune_tables()
RETURNS TABLE (pruned text, rows bigint)
LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    WITH old_requests AS (
        DELETE FROM requests WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM requests WHERE created_at < statement_timestamp() - interval '7 days'
            ORDER BY created_at LIMIT 10000)) RETURNING 1
    ), old_places AS (
        DELETE FROM saga_places WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM saga_places WHERE taken_at < statement_timestamp() - interval '7 days'
            ORDER BY taken_at LIMIT 10000)) RETURNING 1
    ), old_webhooks AS (
        DELETE FROM webhooks WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM webhooks
            WHERE received_at < statement_timestamp() - interval '30 days' AND status = 'accepted'
            ORDER BY received_at LIMIT 10000)) RETURNING 1
    ), old_row_snapshots AS (
        DELETE FROM row_snapshots WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM row_snapshots WHERE taken_at < statement_timestamp() - interval '30 days'
            ORDER BY taken_at LIMIT 10000)) RETURNING 1
    ), old_moments AS (
        DELETE FROM moments WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM moments WHERE at < statement_timestamp() - interval '90 days'
            ORDER BY at LIMIT 10000)) RETURNING 1
    ), old_totals AS (
        DELETE FROM kept_totals WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM kept_totals WHERE kept_at < statement_timestamp() - interval '90 days'
            ORDER BY kept_at LIMIT 10000)) RETURNING 1
    )
    SELECT 'requests', count(*) FROM old_requests
    UNION ALL SELECT 'saga_places', count(*) FROM old_places
    UNION ALL SELECT 'webhooks', count(*) FROM old_webhooks
    UNION ALL SELECT 'row_snapshots', count(*) FROM old_row_snapshots
    UNION ALL SELECT 'moments', count(*) FROM old_moments
    UNION ALL SELECT 'kept_totals', count(*) FROM old_totals
$$;

-- Gives the outbox, the checkpoints, the backfills and the batch that is on its way to the lake numbers below all of
-- this cluster's, so that each snapshot sees of the outbox what it saw before. See begin_epoch.
--
-- Raises HR503 where the cluster is so new that there is no room below its numbers.
CREATE OR REPLACE FUNCTION renumber_feed() RETURNS void
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    v_room bigint := pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 5;
    v_snapshots pg_snapshot[];
BEGIN
    -- A later snapshot knows of higher numbers, or of the same and fewer that are still under way.
    SELECT array_agg(s.snapshot ORDER BY pg_snapshot_xmax(s.snapshot), s.under_way DESC) INTO v_snapshots
    FROM (
        SELECT known.said::pg_snapshot AS snapshot,
               (SELECT count(*) FROM pg_snapshot_xip(known.said::pg_snapshot)) AS under_way
        FROM (SELECT since::text FROM checkpoints UNION SELECT until::text FROM checkpoints
              UNION SELECT since::text FROM consumer_backfills UNION SELECT until::text FROM consumer_backfills
              UNION SELECT since::text FROM lake_batches WHERE settled_at IS NULL
              UNION SELECT until::text FROM lake_batches WHERE settled_at IS NULL
              UNION SELECT next_since::text FROM lake_batches WHERE settled_at IS NULL
              UNION SELECT next_until::text FROM lake_batches WHERE settled_at IS NULL) AS known (said)
        WHERE known.said <> '1:1:'
    ) AS s;
    IF coalesce(array_length(v_snapshots, 1), 0) > v_room THEN
        RAISE EXCEPTION USING ERRCODE = 'HR503', MESSAGE = format(
            'this cluster has given out too few transaction numbers for %s snapshots',
            array_length(v_snapshots, 1));
    END IF;

    UPDATE outbox AS o SET txid = (2 + coalesce(
        (SELECT min(s.place) FROM unnest(v_snapshots) WITH ORDINALITY AS s (snapshot, place)
         WHERE pg_visible_in_snapshot(o.txid, s.snapshot)),
        coalesce(array_length(v_snapshots, 1), 0) + 1))::text::xid8;
    UPDATE checkpoints SET since = renumbered(since, v_snapshots), until = renumbered(until, v_snapshots);
    UPDATE consumer_backfills
    SET since = renumbered(since, v_snapshots), until = renumbered(until, v_snapshots);
    UPDATE lake_batches SET since = renumbered(since, v_snapshots), until = renumbered(until, v_snapshots),
        next_since = renumbered(next_since, v_snapshots), next_until = renumbered(next_until, v_snapshots)
    WHERE settled_at IS NULL;
END $$;

-- A page of a batch, found by transactions: what `p_until` sees and `p_since` did not, after position
-- `p_after`, in the order of positions. It costs as much as the batch is long, however much lies
-- around it.
--
-- A transaction that was still running at `p_since` is looked up by its id, so that one that stays
-- open for hours does not make everybody read those hours again.
CREATE OR REPLACE FUNCTION feed_recent(
    p_since pg_snapshot, p_until pg_snapshot, p_after bigint, p_shards smallint[], p_limit int)
RETURNS SETOF outbox
LANGUAGE sql STABLE AS $$
    SELECT * FROM (
        SELECT o.* FROM outbox o
        WHERE o.txid >= pg_snapshot_xmax(p_since) AND o.txid < pg_snapshot_xmax(p_until)
        UNION ALL
        SELECT o.* FROM outbox o
        WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(p_since)))
    ) AS o
    WHERE o.position > p_after
      AND pg_visible_in_snapshot(o.txid, p_until) AND o.shard = ANY (p_shards)
    ORDER BY o.position LIMIT p_limit
$$;

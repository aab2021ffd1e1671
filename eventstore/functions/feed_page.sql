-- A later page of a batch that was too long for one: read along the positions, because a long batch
-- is nearly everything that lies there.
CREATE OR REPLACE FUNCTION feed_page(
    p_since pg_snapshot, p_until pg_snapshot, p_after bigint, p_shards smallint[], p_limit int)
RETURNS SETOF outbox
LANGUAGE sql STABLE AS $$
    SELECT o.* FROM outbox o
    WHERE o.position > p_after
      AND NOT pg_visible_in_snapshot(o.txid, p_since) AND pg_visible_in_snapshot(o.txid, p_until)
      AND o.shard = ANY (p_shards)
    ORDER BY o.position LIMIT p_limit
$$;
